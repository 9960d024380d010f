-- At the end of /etc/prosody/prosody.cfg.lua:
Component "sip.example.com"
  component_secret = "change-me"
