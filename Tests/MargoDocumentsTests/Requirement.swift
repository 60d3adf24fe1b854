/// A sentence of the specification (1.0.0-rc.3) that binds a device, in words of our own, and how this package stands to it.
struct Requirement {
  enum Strength: String {
    case must = "MUST"
    case should = "SHOULD"
  }

  enum Verdict {
    case met
    case partly(String)
    case notMet(String)
    /// It binds the agent, or who configures it; the package gives the means.
    case others(String)

    var word: String {
      switch self {
      case .met: "met"
      case .partly: "in part"
      case .notMet: "not met"
      case .others: "the agent's"
      }
    }

    var remark: String? {
      switch self {
      case .met: nil
      case .partly(let text), .notMet(let text), .others(let text): text
      }
    }
  }

  var strength: Strength
  var text: String
  var verdict: Verdict
  /// Names of tests that fail if it is no longer so.
  var tests: [String]

  init(_ strength: Strength, _ text: String, _ verdict: Verdict, _ tests: String...) {
    self.strength = strength
    self.text = text
    self.verdict = verdict
    self.tests = tests
  }
}

extension Requirement {
  /// By section, in the specification's order.
  static let all: [(section: String, requirements: [Requirement])] = [
    ("API requirements and security", api), ("Device capabilities", capabilities), ("Deployment status", statuses),
    ("Desired state", desiredState), ("Application deployments", deployments), ("WFM identity profile", identity),
    ("SVIDs", svids), ("TLS", tls), ("Trust bundle and discovery", bundle),
  ]

  private static let api = [
    Requirement(
      .must, "Speak the client's side of the API.", .met, "rc.3 is spoken with a certificate, below any base",
      "a gateway comes before its children, everything before the first poll, and once",
      "a status bears the version it came from, and the most severe of its components' states"),
    Requirement(
      .must, "Speak HTTP/1.1.", .met, "rc.3 is spoken with a certificate, below any base"),
    Requirement(
      .must, "Decide by the problem's `type` and never by its title.", .met,
      "a manager that forgot a gateway hears of it again, and a child without one waits for it",
      "a device that is gone is unregistered, those behind it first, and then forgotten"),
    Requirement(
      .should, "Show title and detail where the type is not known.", .met,
      "problems become errors, with the manager's words and its patience"),
    Requirement(
      .must, "Keep to `Retry-After`, and do not come back before.", .met,
      "a manager's patience is kept across restarts, and grows where it names none",
      "What a source asked for outlives a restart; what it said meanwhile stands"),
    Requirement(
      .must, "Let `retryable` decide whether to try again.", .met,
      "what the manager says of retrying counts, and a web page is no manifest",
      "a refusal for good is not asked for again until something changes, and keeps no poll waiting"),
    Requirement(
      .must, "Follow `backoffStrategy`.", .met,
      "a manager's strategy counts where its answer has no Retry-After",
      "Waits that a source asks for and wants to grow are doubled, across restarts too",
      "problems become errors, with the manager's words and its patience"),
    Requirement(
      .must, "Let a person set a downtime, in which nothing is contacted and no error is told.", .met,
      "Outside its hours, and in a downtime, nothing is contacted and nothing is said"),
    Requirement(
      .must, "Let a person set the hours in which is looked, and how often.", .met,
      "Sources rest outside their hours and in a downtime, until both allow a poll"),
  ]

  private static let capabilities = [
    Requirement(
      .must, "Report the device's capabilities.", .met,
      "a gateway comes before its children, everything before the first poll, and once"),
    Requirement(
      .must, "Report them again when they change.", .met,
      "a file is taken again when it changes, and a broken one changes nothing"),
    Requirement(
      .must, "Keep to the schema: required members, enumerations, units, labels, names of extensions.", .met,
      "what the schema does not have is refused, by its name"),
    Requirement(
      .must, "As a host of workloads report an OpenTelemetry collector, a runtime and a deployment type at least.",
      .others(
        "its capabilities are; an omission is told before they are sent, and the schema allows it"),
      "everything that a host reports is read, and nothing is lost when it is sent"),
    Requirement(
      .must, "As a gateway that hosts nothing leave out all that hosts report.", .met,
      "a gateway that only relays reports who it is, and nothing else"),
    Requirement(
      .must, "As a gateway report itself, and then each device behind it.", .met,
      "a gateway comes before its children, everything before the first poll, and once"),
    Requirement(
      .should, "Use stable label names with the organisation's domain in front.",
      .others("labels are the device owner's")),
  ]

  private static let statuses = [
    Requirement(
      .must, "Report each change of a deployment's state.", .met,
      "each change of state waits for a recipient that wants it, in order and within bounds",
      "a gateway reports itself and three devices, and deploys for each by one manifest",
      "What is published becomes a directory of services, and each component is reported"),
    Requirement(
      .must, "Say under which manifest version the work was done.", .met,
      "a status bears the version it came from, and the most severe of its components' states",
      "a status is of the work that was done, whatever has been adopted since"),
    Requirement(
      .must, "Report the most severe of the components' states for the whole.", .met,
      "a status bears the version it came from, and the most severe of its components' states"),
    Requirement(
      .must, "Have one entry for each component.", .others("`ApplicationDeployment` names them"),
      "A Margo deployment is installed if the device can host it, and refused with what is lacking if not"),
    Requirement(
      .must, "Name the device where it is one behind a gateway.", .met,
      "a status is of the device that speaks or of one behind it, and a name that is no device id is left out"),
    Requirement(
      .must, "Give each error a code, a source and a message.", .met,
      "a status bears the version it came from, and the most severe of its components' states"),
    Requirement(
      .must, "Use 101, 102 and 103 with the gateway's id as their source.", .met,
      "each device gets its own, and a deployment that none can run is refused in the specification's words"),
    Requirement(
      .must, "Name the deployment (`metadata.name`) or the component as the source of other errors.",
      .others("the component is named by default, the deployment's id where the agent names nothing"),
      "each device gets its own, and a deployment that none can run is refused in the specification's words"),
  ]

  private static let desiredState = [
    Requirement(.must, "Look periodically.", .met, "As a service it looks at every interval, and SIGTERM ends it"),
    Requirement(
      .should, "Ask for `application/vnd.margo.manifest.v1+json`.", .met,
      "rc.3 is spoken with a certificate, below any base"),
    Requirement(
      .must, "Verify the digest of every artifact before use, over the decoded bytes.", .met,
      "digests are of decoded bytes", "A tampered document"),
    Requirement(
      .must, "End the update at any wrong digest, the bundle's too, and keep the state before.", .met,
      "a bundle with another digest than the manifest names ends the update", "A tampered document"),
    Requirement(
      .must, "Refuse a digest of another algorithm or another form.", .met,
      "a manifest is as the specification has it, or refused"),
    Requirement(
      .must, "Refuse a version that is not above the last one.", .met,
      "adopts over mutual TLS, looks again, reports, and refuses a rollback", "The same version with other content"),
    Requirement(
      .should, "Log such a refusal.", .met, "adopts over mutual TLS, looks again, reports, and refuses a rollback"),
    Requirement(
      .must, "Keep the version and the ETag across restarts.", .met,
      "adopts over mutual TLS, looks again, reports, and refuses a rollback",
      "an ETag is given back as it came, whatever it is"),
    Requirement(
      .must, "Never take 404 of an artifact for a reason to remove anything.", .met,
      "an artifact that is not there is missing, and nothing is removed for it"),
    Requirement(
      .must, "Never use `sizeBytes` for integrity.", .met, "what a manifest says of sizes decides nothing",
      "Over a limit: limit-exceeded"),
    Requirement(
      .must, "Take a manifest only with `bundle`, null where there are no deployments, and a url for each deployment.",
      .met, "a manifest is as the specification has it, or refused"),
  ]

  private static let deployments = [
    Requirement(
      .must, "Refuse a deployment that is not as the schema has it.", .others("`ApplicationDeployment` refuses it"),
      "what the specification does not have is refused, by its name"),
    Requirement(
      .must, "Check the id against the manifest's.", .others("`Placement` refuses it"),
      "each device gets its own, and a deployment that none can run is refused in the specification's words"),
    Requirement(
      .must, "Deploy only where capacity and eligibility rules are met.",
      .others("`ApplicationDeployment.obstacles(on:)` tells each lack"),
      "a device with everything is eligible, and each lack is told", "operators mean what the specification says"),
  ]

  private static let identity = [
    Requirement(
      .must, "Take the manager's name from the own certificate, and from nothing else.", .met,
      "the manager follows from the client's own name",
      "a SPIFFE certificate that is not a client's is refused before anything is connected to"),
    Requirement(
      .must, "Verify that the server is exactly that manager, and abort if not.", .met,
      "a server that is not this client's manager is sent nothing"),
    Requirement(
      .must, "Not go by the host's name.", .met, "the manager is known by its name and not by its host's"),
    Requirement(
      .should, "Limit how long a connection lives.", .met, "One has an age, after which requests go over another"),
  ]

  private static let svids = [
    Requirement(
      .must, "Validate the chain against any authority of the bundle, within its time.", .met,
      "a SPIFFE bundle is a file of authorities, with keys of other kinds in it, and fails closed without any"),
    Requirement(
      .must, "Accept only a certificate with one URI.", .met,
      "a server that is not this client's manager is sent nothing"),
    Requirement(
      .must, "Refuse a leaf that is an authority, or may sign certificates or revocation lists.",
      .met, "a certificate of the right name that is not fit for it is sent nothing"),
    Requirement(
      .must, "Refuse RSA keys below 3072 bits, and algorithms that are not listed.",
      .met, "a certificate of the right name that is not fit for it is sent nothing",
      "every algorithm that is listed is believed"),
    Requirement(
      .must, "Show the intermediates with the own certificate.",
      .others("they belong into the file of the client certificate"),
      "A client certificate is shown to whoever asks"),
  ]

  private static let tls = [
    Requirement(
      .must, "Speak TLS 1.3 by default, 1.2 only when allowed, and nothing older.", .met,
      "TLS 1.2 works when it is allowed by name"),
    Requirement(
      .must, "Trust nothing at first use.", .met, "Another pinned authority is not ours"),
    Requirement(
      .must, "Not pass through a proxy that inspects TLS.", .met,
      "an inspecting proxy is refused outright, whatever the device trusts"),
    Requirement(
      .should, "Connect anew after the own certificate was renewed.", .met,
      "A change of certificates is noticed without being told"),
  ]

  private static let bundle = [
    Requirement(
      .must, "Ignore keys of the bundle that are not for X.509-SVIDs, and unknown members.", .met,
      "a SPIFFE bundle is a file of authorities, with keys of other kinds in it, and fails closed without any"),
    Requirement(
      .must, "Reject a bundle without X.509 authorities.", .met,
      "a SPIFFE bundle is a file of authorities, with keys of other kinds in it, and fails closed without any"),
    Requirement(
      .must, "Replace all authorities by those of a new bundle.", .met,
      "Authorities are read again when their file changes",
      "the bundle is discovered, followed, replaced as a whole, and outlives its publisher"),
    Requirement(
      .must, "Take the entry of the own trust domain, and no other, from a map of bundles.", .met,
      "a SPIFFE bundle is a file of authorities, with keys of other kinds in it, and fails closed without any",
      "another trust domain's bundle, or one that is not at https, is not taken"),
    Requirement(
      .should, "Fetch the bundle again by its refresh hint, and refuse a lower sequence.", .met,
      "it is asked for as often as it says, and not at each poll",
      "the bundle is discovered, followed, replaced as a whole, and outlives its publisher"),
    Requirement(
      .must, "Refuse a bundle's address that is not https.", .met,
      "another trust domain's bundle, or one that is not at https, is not taken"),
  ]
}
