"""A conversation across Tandem, shown as it happens; see .ci/demo/run."""

import argparse
import asyncio
import signal
import sys
import time

from phone import Phone
from stage import DOMAIN, GATEWAY, NUMBER, Failure, Stage
from user import User

# An arrival takes milliseconds; only a failure takes this long.
ARRIVAL_LIMIT = 15
NOWHERE = "+442079460000"
USERS = ("juliet", "romeo")


async def converse(juliet, phone):
    """One message each way, and one that nobody can take."""
    print("\nA conversation:\n")
    hello = "Hello from XMPP. Can you read me?"
    show(f"juliet@{DOMAIN} writes to {NUMBER}@{GATEWAY}", hello)
    juliet.say(NUMBER, hello)
    sender, text = await arrival("the phone's message", phone.received)
    show(f"the phone {NUMBER} shows a message of {sender}", text)
    expect((sender, text), ("juliet", hello))

    answer = "Loud and clear, Grüße from SIP ☎"
    show("the phone answers", answer)
    await phone.say("juliet", answer)
    sender, text = await arrival("the answer", juliet.received)
    show(f"juliet@{DOMAIN} reads a message of {sender}", text)
    expect((sender, text), (NUMBER, answer))
    status = await arrival("the phone's confirmation", phone.answers)
    show("the phone is told, once the XMPP server has it", status)
    expect(status[:1], "2")

    lost = "Is anybody there?"
    show(f"juliet@{DOMAIN} writes to {NOWHERE}@{GATEWAY}, where no route leads", lost)
    juliet.say(NOWHERE, lost)
    sender, reason = await arrival("the refusal", juliet.refused)
    show(f"juliet@{DOMAIN} gets it back", reason)
    expect(sender, NOWHERE)


async def arrival(what, queue):
    try:
        return await asyncio.wait_for(queue.get(), ARRIVAL_LIMIT)
    except TimeoutError:
        raise Failure(f"{what} did not come within {ARRIVAL_LIMIT} s") from None


def expect(seen, right):
    if seen != right:
        raise Failure(f"{right!r} was expected, but {seen!r} came")


def show(who, text):
    bold, plain = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    # A message must not steer the terminal.
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    print(f"  {who}\n      {bold}{text}{plain}", flush=True)


def invite(stage):
    """How to go on by hand."""
    password = stage.passwords["romeo"]
    print(f"""
Now you, with any XMPP client on this machine, for example Gajim:

  address      romeo@{DOMAIN}     password  {password}
  server       127.0.0.1   port {stage.client_port}   STARTTLS
  certificate  {stage.certificate}
      made for this run, so your client will warn. Let it trust the one with this SHA-256 fingerprint:
      {stage.fingerprint()}
      A client that cannot ask (Dino) wants it installed, and removed afterwards:
      sudo cp {stage.certificate} /usr/local/share/ca-certificates/tandem-demo.crt && sudo update-ca-certificates
  write to     {NUMBER}@{GATEWAY}   and the phone shows it here
  answer       type a line here and press Enter: the phone sends it to whoever wrote last

  SIP          tandem-b2bua 127.0.0.1:{stage.gateway_port} (UDP, TCP), phone 127.0.0.1:{stage.sip_port} (UDP)
  more         juliet@{DOMAIN} with password {stage.passwords["juliet"]}; logs, configuration and state in {stage.directory}

Ctrl-C ends everything and removes {stage.directory}.
""", flush=True)


async def attend(stage, phone):
    """Shows what comes and sends what is typed, for as long as everything runs."""
    writer = USERS[-1]
    loop = asyncio.get_running_loop()
    typed = asyncio.Queue()
    if sys.stdin.isatty():
        loop.add_reader(sys.stdin, lambda: typed.put_nowait(sys.stdin.readline()))
    while True:
        stage.check_alive()
        while not phone.received.empty():
            sender, text = phone.received.get_nowait()
            writer = sender if sender in USERS else writer
            show(f"the phone shows a message of {sender}", text)
        while not phone.answers.empty():
            show("the phone is told", phone.answers.get_nowait())
        while not typed.empty():
            line = typed.get_nowait()
            if not line:
                loop.remove_reader(sys.stdin)
            elif line.strip():
                show(f"the phone writes to {writer}", line.strip())
                await phone.say(writer, line.strip())
        await asyncio.sleep(0.1)


async def perform(stage, arguments):
    print(f"Everything runs on 127.0.0.1 and in {stage.directory}:\n")
    stage.start_server()
    print(f"  Prosody       clients on port {stage.client_port}, components on {stage.component_port}")
    stage.start_tandem(arguments.binaries)
    print(f"  Tandem        tandem-component as {GATEWAY}, tandem-b2bua on SIP port {stage.gateway_port}")
    phone = Phone(stage)
    await phone.start()
    print(f"  baresip       the phone {NUMBER}, on SIP port {stage.sip_port}", flush=True)
    juliet = User(stage, "juliet")
    await juliet.log_in()
    await juliet.wait_gateway()
    await converse(juliet, phone)
    stage.check_alive()
    await juliet.disconnect()
    if not arguments.check:
        invite(stage)
        await attend(stage, phone)


async def until_told(stage, arguments):
    """Performs until it is over or a signal ends it; returns whether a signal did."""
    performing = asyncio.create_task(perform(stage, arguments))
    told = False

    def stop():
        nonlocal told
        told = True
        performing.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await performing
    except asyncio.CancelledError:
        pass
    return told


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", required=True, help="the directory of tandem-component and tandem-b2bua")
    parser.add_argument("--check", action="store_true", help="end after the conversation; exit code 0 if all was right")
    arguments = parser.parse_args()
    began = time.monotonic()
    stage = Stage(USERS)
    wrong, told = [], False
    try:
        told = asyncio.run(until_told(stage, arguments))
    except Exception as failure:
        wrong.append(str(failure) if isinstance(failure, Failure) else f"{type(failure).__name__}: {failure}")
        for end in stage.log_ends():
            print(*end, sep="\n", file=sys.stderr)
    print("\nEnding everything", flush=True)
    wrong += stage.strike()
    if told and arguments.check:
        wrong.append("told to end before the conversation was over")
    for line in dict.fromkeys(wrong):
        print(f"demo: {line}", file=sys.stderr)
    if not wrong:
        print(f"Nothing is left running ({time.monotonic() - began:.1f} s).")
    sys.exit(bool(wrong))


main()
