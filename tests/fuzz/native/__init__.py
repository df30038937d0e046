"""The engine in C under sanitizers, without Python: fuzz targets and what builds them."""
