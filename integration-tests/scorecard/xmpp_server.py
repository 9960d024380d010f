"""A stand-in XMPP server for one component (XEP-0114): it takes the handshake,
answers pings and other queries, swallows messages and sends what it is told."""

import hashlib
import socket
import threading
import xml.etree.ElementTree as ET

NS = "{jabber:component:accept}"


class Server:
    """`joined` is set when the component has authenticated; `swallowed` counts messages."""

    def __init__(self, listener, component, secret):
        self.joined, self.swallowed = threading.Event(), 0
        self._listener, self._component, self._secret = listener, component, secret
        self._link, self._lock = None, threading.Lock()

    def inject(self, stanza):
        """Sends one stanza to the component."""
        with self._lock:
            self._link.sendall(stanza.encode())

    def _accept_all(self):
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        parser = ET.XMLPullParser(["start", "end"])
        depth, root = 0, None
        try:
            while data := link.recv(65536):
                parser.feed(data)
                replies = []
                for event, element in parser.read_events():
                    if event == "start":
                        depth += 1
                        if depth == 1:
                            root = element
                            replies.append(f"<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
                                           f"xmlns:stream='http://etherx.jabber.org/streams' "
                                           f"from='{self._component}' id='one'>")
                        continue
                    depth -= 1
                    if depth == 1:
                        replies.append(self._answer(link, element))
                        root.clear()
                if any(replies):
                    with self._lock:
                        link.sendall("".join(replies).encode())
        except (OSError, ET.ParseError):
            pass
        link.close()

    def _answer(self, link, stanza):
        if stanza.tag == NS + "handshake":
            if stanza.text != hashlib.sha1(("one" + self._secret).encode()).hexdigest():
                return "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
            self._link = link
            self.joined.set()
            return "<handshake/>"
        if stanza.tag == NS + "message":
            self.swallowed += 1
        if stanza.tag == NS + "iq" and stanza.get("type") in ("get", "set"):
            return (f"<iq type='result' id='{stanza.get('id')}' "
                    f"from='{stanza.get('to')}' to='{stanza.get('from')}'/>")
        return ""


def start(address, component, secret):
    """Listens on `address` and serves in threads of its own."""
    server = Server(socket.create_server(address), component, secret)
    threading.Thread(target=server._accept_all, daemon=True).start()
    return server
