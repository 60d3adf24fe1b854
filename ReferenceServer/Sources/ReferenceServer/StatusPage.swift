/// The page for people at `/` of the admin port: plain HTML, CSS and a little script, kept live by server-sent events.
enum StatusPage {
  static let html = """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Reference fleet manager</title>
    <style>
      :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
      body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
      h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
      table { border-collapse: collapse; width: 100%; }
      th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
      .failed { color: #c22; font-weight: 600; } .installed { color: #2a7; } .faint { opacity: .65; }
      #line { float: right; } button { font: inherit; }
    </style>
    </head>
    <body>
    <p id="line" class="faint" role="status">connecting</p>
    <h1>Reference fleet manager</h1>
    <h2>Clients</h2><table id="clients" aria-live="polite"></table>
    <h2>Devices</h2><table id="devices"></table>
    <h2>Deployments</h2><table id="statuses"></table>
    <h2>Faults</h2><p id="faults"></p>
    <script>
      const at = id => document.getElementById(id);
      // Text from clients is only ever text.
      const cell = (row, text, kind) => { const td = row.insertCell(); td.textContent = text ?? ""; if (kind) td.className = kind; };
      function table(id, heads, rows) {
        const table = at(id);
        table.replaceChildren();
        if (!rows.length) { table.insertRow().insertCell().textContent = "none"; return; }
        const head = table.createTHead().insertRow();
        for (const text of heads) { const th = document.createElement("th"); th.textContent = text; head.append(th); }
        const body = table.createTBody();
        for (const cells of rows) { const row = body.insertRow(); for (const [text, kind] of cells) cell(row, text, kind); }
      }
      function offer(properties) {
        const cpus = (properties.cpus ?? []).map(cpu => cpu.cores + " × " + (cpu.architecture ?? "?")).join(", ");
        return [cpus, properties.memory, properties.storage, (properties.supportedRuntimes ?? []).join(" "),
          (properties.supportedDeploymentTypes ?? []).join(" ")].filter(Boolean).join(" · ") || "hosts nothing";
      }
      async function toggle(kind, faults) {
        const rest = faults.filter(fault => fault.fault !== kind);
        const next = rest.length === faults.length ? [...faults, { fault: kind }] : rest;
        await fetch("/admin/faults", { method: "PUT", body: JSON.stringify(next) });
      }
      const source = new EventSource("/admin/events");
      source.onopen = () => at("line").textContent = "live";
      source.onerror = () => at("line").textContent = "connection lost, trying again";
      source.onmessage = event => {
        const now = JSON.parse(event.data);
        at("line").textContent = "live";
        table("clients", ["client", "manifest version"], now.clients.map(one => [[one.client], [one.manifestVersion ?? "nothing published"]]));
        table("devices", ["client", "device", "is", "offers", "reported"], now.devices.map(one => {
          const properties = one.capabilities.properties;
          return [[one.client], [one.deviceId], [properties.vendor + " " + properties.modelNumber], [offer(properties)], [one.receivedAt, "faint"]];
        }));
        table("statuses", ["client", "deployment", "device", "state", "before", "manifest", "components", "error"], now.statuses.map(one => {
          const said = one.status, error = said.status.error;
          return [[one.client], [said.deploymentId], [said.deviceId], [said.status.state, said.status.state],
            [(one.states ?? []).slice(0, -1).join(" → "), "faint"], [said.adoptedManifestVersion],
            [said.components.map(part => part.name + ": " + part.state).join(", ")], [error ? error.code + " (" + error.source + "): " + error.message : ""]];
        }));
        at("faults").replaceChildren(...now.kinds.map(kind => {
          const button = document.createElement("button"), on = now.faults.some(fault => fault.fault === kind);
          button.textContent = kind;
          button.setAttribute("aria-pressed", on);
          if (on) button.className = "failed";
          button.onclick = () => toggle(kind, now.faults);
          return button;
        }));
      };
    </script>
    </body>
    </html>
    """
}
