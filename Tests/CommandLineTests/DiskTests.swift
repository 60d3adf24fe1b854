import Foundation
import Testing

@Suite("Disks that are full, read-only or gone")
struct DiskTests {
  let site = try! Site()

  /// Runs a script where it may mount: in a mount namespace of its own, and as root of a user namespace if need be.
  private func mounted(_ script: String) async throws -> Finished {
    let asRoot = getuid() == 0
    return try await Tool.run("unshare", (asRoot ? ["-m"] : ["-rm"]) + ["sh", "-ec", script], in: site.root)
  }

  private var follow: String {
    "\(Tool.desiredState) follow drop --store disk/store --into disk/into --once --json --device press-42 --trust allowed_signers"
  }

  @Test(
    "A full disk: refused as no-space, the adopted state survives, what fits is adopted next, and all of it with room")
  func full() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("a", "small")], keys: [key])
    try await Tool.succeed("cp", ["-a", site.drop, site.root + "/drop-1"])
    let large = String(repeating: "large ", count: 500_000)
    try await site.publishByHand(version: "2", documents: [("a", large)], keys: [key])
    try await Tool.succeed("cp", ["-a", site.drop, site.root + "/drop-2"])
    try await site.publishByHand(version: "3", documents: [("a", "fits")], keys: [key])
    try await Tool.succeed("cp", ["-a", site.drop, site.root + "/drop-3"])
    try await site.publishByHand(version: "4", documents: [("a", large)], keys: [key])
    let run = try await mounted(
      """
      mv drop drop-4; mkdir disk; mount -t tmpfs -o size=2m none disk
      mv drop-1 drop; \(follow) >/dev/null
      rm -r drop; mv drop-2 drop
      if \(follow) >full.out 2>full.err; then exit 99; else status=$?; fi
      cat disk/into/current/a; echo " status $status"
      \(Tool.desiredState) status --store disk/store; cat full.out drop/acknowledgements/press-42/state.json
      rm -r drop; mv drop-3 drop; \(follow) >/dev/null; cat disk/into/current/a; echo
      rm -r drop; mv drop-4 drop
      mount -o remount,size=32m disk
      \(follow) >/dev/null; wc -c < disk/into/current/a
      """)
    #expect(run.status == 0, "\(run)")
    #expect(run.output.contains("small status 3"))
    #expect(run.output.contains("adopted   version 1") && run.output.contains("refused   no-space"))
    #expect(run.output.contains("\"code\" : \"no-space\""), "acknowledged: \(run.output)")
    #expect(run.output.contains("\nfits\n"))
    #expect(run.output.hasSuffix("3000000\n"))
  }

  @Test("--into on a full disk of its own: no-space, what was applied stays, and what fits is applied next")
  func fullInto()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    let large = String(repeating: "large ", count: 500_000)
    for (version, text) in [(1, "small"), (2, large), (3, "fits"), (4, large)] {
      try await site.publishByHand(version: "\(version)", documents: [("a", text)], keys: [key])
      try await Tool.succeed("cp", ["-a", site.drop, site.root + "/drop-\(version)"])
    }
    let run = try await mounted(
      """
      mkdir -p disk/into; mount -t tmpfs -o size=2m none disk/into
      use() { rm -rf drop; mv drop-$1 drop; }
      use 1; \(follow) >/dev/null
      use 2; if \(follow) >full.out 2>full.err; then exit 99; else echo "status $?"; fi
      cat full.out disk/into/current/a; echo; ls -A disk/into/revisions | wc -l
      \(Tool.desiredState) status --store disk/store
      mkdir disk/into/revisions/.sha256-00.4711.tmp
      cat /dev/zero >disk/into/revisions/.sha256-00.4711.tmp/half 2>/dev/null || true
      use 3; \(follow) >/dev/null; cat disk/into/current/a; echo; ls -A disk/into/revisions | grep -c tmp || true
      use 4; \(follow) >/dev/null || echo "status $?"
      mount -o remount,size=32m disk/into
      \(follow) >/dev/null; wc -c < disk/into/current/a
      """)
    #expect(run.status == 0, "\(run)")
    #expect(run.output.contains("status 1\n") && run.output.contains("\"code\":\"no-space\""), "\(run)")
    #expect(run.output.contains("\nsmall\n1\n"), "what was applied stays, and no half of the other: \(run.output)")
    #expect(run.output.contains("version 2 is adopted and could not be applied: no-space: "), "\(run.output)")
    #expect(run.output.contains("\nfits\n0\n"))
    #expect(run.output.hasSuffix("status 1\n3000000\n"), "\(run.output.suffix(100))")
  }

  @Test("A read-only store: a clear message, and its status can still be read") func readOnly() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("a", "1")], keys: [key])
    let run = try await mounted(
      """
      mkdir disk; mount -t tmpfs none disk; \(follow) >/dev/null
      mount -o remount,ro disk
      if \(follow) 2>ro.err; then exit 99; else echo "status $?"; fi
      \(Tool.desiredState) status --store disk/store; cat disk/into/current/a
      """)
    #expect(run.status == 0, "\(run)")
    #expect(run.output.contains("status 1\n"))
    #expect(run.output.contains("adopted   version 1"))
    #expect(try site.read("ro.err").contains("read-only"))
  }

  @Test("A drop on a read-only disk is followed, and its acknowledgements wait, visibly") func readOnlyDrop()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("a", "1")], keys: [key])
    let run = try await mounted(
      """
      mkdir disk; mount --bind drop drop; mount -o remount,bind,ro drop
      \(follow); \(Tool.desiredState) status --store disk/store
      """)
    #expect(run.status == 0, "\(run)")
    #expect(run.names.contains("applied") && !run.names.contains("acknowledged"))
    #expect(run.output.contains("outbox    1 waiting"))
  }

  @Test("An unmounted disk leaves an empty mount point: absent, and nothing is taken away") func unmounted()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("a", "1")], keys: [key])
    let run = try await mounted(
      """
      mkdir disk usb; mount --bind drop usb; mv drop gone; mkdir empty
      ln -s usb drop; \(follow) >/dev/null; umount usb
      if \(follow); then exit 99; else echo "status $?"; fi; cat disk/into/current/a
      """)
    #expect(run.output.contains("\"absent\"") && run.output.contains("status 5\n1"), "\(run)")
  }

  @Test("A store from a device with another kind of disk: documents are copied where they cannot be linked")
  func otherFileSystem() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("dir/a", "1")], keys: [key])
    let run = try await mounted(
      """
      mkdir disk; mount -t tmpfs none disk; mkdir disk/into; mount -t tmpfs none disk/into
      \(follow) >/dev/null; cat disk/into/current/dir/a; stat -c ' %h' disk/into/current/dir/a
      """)
    #expect(run.output == "1 1\n", "\(run)")
  }

  @Test("A store where nothing can be made is an error, status 1") func impossiblePlace() async throws {
    let run = try await Tool.run(
      Tool.desiredState, ["follow", site.drop, "--store", "/proc/none/store", "--once", "--accept-unsigned"])
    #expect(run.status == 1)
    #expect(run.complaint.contains("/proc/none"))
  }
}
