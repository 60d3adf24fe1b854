// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "fleet-poll",
  dependencies: [.package(name: "DesiredState", path: "../..")],
  targets: [
    .executableTarget(
      name: "fleet-poll",
      dependencies: [
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "RESTBackend", package: "DesiredState"),
      ],
      swiftSettings: [.enableUpcomingFeature("ExistentialAny"), .treatAllWarnings(as: .error)])
  ]
)
