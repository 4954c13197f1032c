"""Readers of data sets, one file each: everything foreign is translated here."""
