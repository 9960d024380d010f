-- The private server of `just demo`. Words between at signs are filled in by .ci/demo/stage.py, and
-- configs/attach/prosody.cfg.lua is put at the end.
run_as_root = @AS_ROOT@
daemonize = false
pidfile = "@DIR@/prosody.pid"
data_path = "@DIR@/prosody"
certificates = "@DIR@"
interfaces = { "127.0.0.1" }
c2s_ports = { @CLIENT_PORT@ }
c2s_direct_tls_ports = { }
c2s_require_encryption = true
component_ports = { @COMPONENT_PORT@ }
component_interfaces = { "127.0.0.1" }
authentication = "internal_plain"
storage = "internal"
modules_enabled = {
  "roster", "saslauth", "tls", "disco", "pep", "private", "blocklist", "vcard4", "vcard_legacy",
  "time", "ping", "version", "carbons", "smacks", "csi_simple", "mam", "offline",
}
modules_disabled = { "s2s" }
log = { info = "*console" }

VirtualHost "localhost"

