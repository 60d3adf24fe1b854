public import DesiredStateSupport

/// A file operation failed on this device's own disk.
public typealias FileError = DesiredStateSupport.FileError
