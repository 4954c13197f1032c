"""Damaged inputs for everything that liftwild reads: seeds (``kinds``), ``mutate``, ``worker``, ``hunt``."""
