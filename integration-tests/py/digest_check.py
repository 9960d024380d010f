"""Whether an answer to a digest challenge is right, computed after RFC 7616 3.4 with hashlib alone.

Its one argument is a JSON object: `answer` (the value of Authorization), `method`, `body` and `password`. It prints
`right qop=... nc=...`, or `wrong` and why.
"""

import hashlib
import json
import re
import sys

asked = json.loads(sys.argv[1])
pairs = re.findall(r'([a-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))', asked["answer"])
field = {name: quoted or bare for name, quoted, bare in pairs}
algorithm = field.get("algorithm", "MD5")
hashes = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
name = hashes[algorithm.removesuffix("-sess")]


def digest(text):
    return hashlib.new(name, text.encode()).hexdigest()


secret = digest(f"{field['username']}:{field['realm']}:{asked['password']}")
if algorithm.endswith("-sess"):
    secret = digest(f"{secret}:{field['nonce']}:{field['cnonce']}")
what = f"{asked['method']}:{field['uri']}"
if field["qop"] == "auth-int":
    what += ":" + digest(asked["body"])
middle = ":".join(field[part] for part in ("nonce", "nc", "cnonce", "qop"))
wanted = digest(f"{secret}:{middle}:{digest(what)}")
if wanted == field["response"]:
    print(f"right qop={field['qop']} nc={field['nc']} algorithm={algorithm}")
else:
    print(f"wrong: {field['response']} is not {wanted}")
