// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "BoardAgent",
  dependencies: [.package(name: "DesiredState", path: "../DesiredState")],
  targets: [
    .executableTarget(
      name: "board-agent",
      dependencies: [
        .product(name: "DesiredState", package: "DesiredState"),
        .product(name: "FileBackend", package: "DesiredState"),
      ])
  ]
)
