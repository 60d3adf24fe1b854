// A C target needs one source file.
