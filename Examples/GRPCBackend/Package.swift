// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "desired-state-grpc",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "GRPCBackend", targets: ["GRPCBackend"]),
    .executable(name: "grpc-agent", targets: ["grpc-agent"]),
    .executable(name: "grpc-server", targets: ["grpc-server"]),
  ],
  dependencies: [
    // In a repository of your own: .package(url: "…/DesiredState", from: "…").
    .package(name: "DesiredState", path: "../.."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-async-algorithms", from: "1.0.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.31.0"),
    .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.2.0"),
    .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.4.0"),
    .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.1.0"),
  ],
  targets: [
    // Generated from desired_state.proto; see the README.
    .target(
      name: "GRPCFleet",
      dependencies: [
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ]),
    .target(
      name: "GRPCBackend",
      dependencies: [
        "GRPCFleet",
        .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
      ],
      swiftSettings: settings),
    // A server of drops in a directory.
    .target(
      name: "FleetServer",
      dependencies: [
        "GRPCFleet",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "GRPCCore", package: "grpc-swift-2"),
        .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "grpc-server",
      dependencies: ["FleetServer", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      swiftSettings: settings),
    .executableTarget(
      name: "grpc-agent",
      dependencies: ["GRPCBackend", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      swiftSettings: settings),
    .testTarget(
      name: "GRPCBackendTests",
      dependencies: [
        "GRPCBackend", "FleetServer",
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "DesiredStateTesting", package: "DesiredState"),
      ],
      swiftSettings: settings),
  ]
)
