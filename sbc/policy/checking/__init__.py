"""Checks across objects, one file for each kind of object."""
