// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "edge-agent",
  products: [.executable(name: "edge-agent", targets: ["edge-agent"])],
  dependencies: [
    // In a repository of your own: .package(url: "…/DesiredState", from: "…").
    .package(name: "DesiredState", path: "../.."),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.8.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0", traits: []),
  ],
  targets: [
    .target(
      name: "EdgeAgent",
      dependencies: [
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "MargoDeployments", package: "DesiredState"),
        .product(name: "MargoDocuments", package: "DesiredState"),
        .product(name: "SSHSignatures", package: "DesiredState"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "Subprocess", package: "swift-subprocess"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "edge-agent",
      dependencies: ["EdgeAgent", .product(name: "FileBackend", package: "DesiredState")],
      swiftSettings: settings),
    .testTarget(
      name: "EdgeAgentTests",
      dependencies: ["EdgeAgent", .product(name: "DesiredStateTesting", package: "DesiredState")],
      swiftSettings: settings),
  ]
)
