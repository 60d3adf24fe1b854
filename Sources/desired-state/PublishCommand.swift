import ArgumentParser
struct PublishCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "publish")
}
