"""Where objects are: the storage port, files, their layouts."""
