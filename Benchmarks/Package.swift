// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Benchmarks",
  dependencies: [.package(name: "DesiredState", path: "..")],
  targets: [
    .executableTarget(
      name: "DropBenchmarks",
      dependencies: [
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "FileBackend", package: "DesiredState"),
      ],
      swiftSettings: [.enableUpcomingFeature("ExistentialAny")])
  ]
)
