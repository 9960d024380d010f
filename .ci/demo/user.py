"""An XMPP user, with slixmpp, who trusts the demo's certificate and nothing else."""

import asyncio

import slixmpp

from stage import DOMAIN, GATEWAY, Failure

LOGIN_LIMIT = 15


class User(slixmpp.ClientXMPP):
    def __init__(self, stage, name):
        super().__init__(f"{name}@{DOMAIN}/demo", stage.passwords[name])
        self.stage = stage
        self.enable_direct_tls = False
        self.ca_certs = str(stage.certificate)
        self.register_plugin("xep_0030")
        self.received = asyncio.Queue()
        self.refused = asyncio.Queue()
        self.ready = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", lambda _: self.settle(None))
        for failure in ("failed_all_auth", "connection_failed", "ssl_invalid_chain"):
            self.add_event_handler(failure, lambda why, failure=failure: self.settle(f"{failure} {why}"))
        self.add_event_handler("message", self.handle)
        self.add_event_handler("message_error", self.handle)

    async def log_in(self):
        self.connect("127.0.0.1", self.stage.client_port)
        try:
            await asyncio.wait_for(self.ready, LOGIN_LIMIT)
        except TimeoutError:
            raise Failure(f"{self.boundjid.bare} could not log in within {LOGIN_LIMIT} s") from None
        self.send_presence()

    def settle(self, failure):
        if not self.ready.done():
            if failure is None:
                self.ready.set_result(None)
            else:
                self.ready.set_exception(Failure(f"the user could not log in: {failure}"))

    async def wait_gateway(self):
        """Waits until the gateway answers: its stream to the server is open."""
        for _ in range(100):
            try:
                await self["xep_0030"].get_info(jid=GATEWAY, cached=False, timeout=2)
                return
            except (slixmpp.exceptions.IqError, slixmpp.exceptions.IqTimeout):
                self.stage.check_alive()
                await asyncio.sleep(0.1)
        raise Failure(f"{GATEWAY} does not answer on the XMPP side")

    def say(self, contact, text):
        self.send_message(mto=f"{contact}@{GATEWAY}", mbody=text, mtype="chat")

    def handle(self, message):
        contact = message["from"].user
        if message["type"] == "error":
            error = message["error"]
            self.refused.put_nowait((contact, f"{error['condition']}: {error['text']}"))
        elif message["body"]:
            self.received.put_nowait((contact, message["body"]))
