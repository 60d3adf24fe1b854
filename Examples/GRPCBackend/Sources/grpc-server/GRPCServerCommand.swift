import ArgumentParser
import FleetServer
import Glibc

@main
struct GRPCServerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "grpc-server", abstract: "Serves the drops in a directory, one a device, over gRPC.")

  @Option(help: "The directory: DATA/DEVICE is a device's drop.") var data: String
  @Option(help: "The address to serve on.") var host = "127.0.0.1"
  @Option(help: "The port to serve on; 0: a free one.") var port = 50051
  @Option(help: "The server's certificate chain (PEM).") var tlsCert: String?
  @Option(help: "The server's key (PEM).") var tlsKey: String?

  func run() async throws {
    let server = FleetServer(
      FleetService(directory: data), host: host, port: port, certificate: tlsCert, key: tlsKey)
    try await withThrowingTaskGroup { group in
      group.addTask { try await server.serve() }
      print("serving on \(host):\(try await server.port())")
      fflush(nil)
      try await group.waitForAll()
    }
  }
}
