import DesiredState
public struct FileBackend { public static func register(in r: inout BackendRegistry) {} }
