"""From a file to a Recording, and to the files that are asked for."""
