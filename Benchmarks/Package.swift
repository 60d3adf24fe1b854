// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Benchmarks",
  dependencies: [
    .package(name: "DesiredState", path: ".."),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
  ],
  targets: [
    .target(name: "Measuring", dependencies: [.product(name: "DesiredState", package: "DesiredState")]),
    .executableTarget(
      name: "DropBenchmarks",
      dependencies: [
        "Measuring",
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "FileBackend", package: "DesiredState"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SSHSignatures", package: "DesiredState"),
      ],
      swiftSettings: [.enableUpcomingFeature("ExistentialAny")]),
    .target(name: "MinimumLibraries", linkerSettings: [.linkedLibrary("curl"), .linkedLibrary("git2")]),
    .executableTarget(name: "Minimum", dependencies: ["MinimumLibraries"]),
    .executableTarget(name: "CurlPoll", linkerSettings: [.linkedLibrary("curl")]),
    .executableTarget(
      name: "GitBenchmarks",
      dependencies: [
        "Measuring",
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "GitBackend", package: "DesiredState"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SSHSignatures", package: "DesiredState"),
      ],
      swiftSettings: [.enableUpcomingFeature("ExistentialAny")]),
    .executableTarget(
      name: "RESTBenchmarks",
      dependencies: [
        "Measuring",
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "HTTPTransport", package: "DesiredState"),
        .product(name: "RESTBackend", package: "DesiredState"),
      ],
      swiftSettings: [.enableUpcomingFeature("ExistentialAny")]),
  ]
)
