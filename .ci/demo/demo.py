"""A conversation across Tandem, shown as it happens; see .ci/demo/run."""

import argparse
import asyncio
import signal
import sys
import time

import caller
import ear
import phone as phones
from caller import Caller
from phone import Phone
from stage import DOMAIN, GATEWAY, NUMBER, Failure, Stage
from user import User

# An arrival takes milliseconds; only a failure takes this long.
ARRIVAL_LIMIT = 15
# So often is listened before the wrong sound is a failure, some seconds.
HEARINGS = 40
# What is told of calls by hand.
CALLS = {"CALL_INCOMING": "a call comes", "CALL_ESTABLISHED": "the call is answered", "CALL_CLOSED": "the call is over"}
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


async def call(juliet, phone):
    """One call each way; what both ends hear is measured."""
    print("\nA call each way:\n")
    await juliet.add(f"{NUMBER}@{GATEWAY}")
    show(f"juliet@{DOMAIN} calls {NUMBER}@{GATEWAY}", f"and sings at {caller.TONE} Hz")
    sid = await juliet.call(f"{NUMBER}@{GATEWAY}")
    await phone.wait("CALL_ESTABLISHED")
    await juliet.wait("connected")
    show("the phone answers", f"and sings at {phones.TONE} Hz")
    await compare(juliet, sid, phone)
    await juliet.end(sid)
    await phone.wait("CALL_CLOSED")
    show("juliet hangs up", "and the phone's call is over")

    show(f"the phone calls juliet@{DOMAIN}", f"and sings at {phones.TONE} Hz")
    await phone.dial("juliet")
    sid = (await juliet.wait("incoming"))["sid"]
    await juliet.accept(sid)
    await phone.wait("CALL_ESTABLISHED")
    await juliet.wait("connected")
    show("juliet answers", f"and sings at {caller.TONE} Hz")
    await compare(juliet, sid, phone)
    await phone.hang_up()
    reason = (await juliet.wait("ended"))["reason"]
    show("the phone hangs up, and juliet is told why", reason)
    expect(reason, "success")


async def compare(juliet, sid, phone):
    """Waits until each end hears what the other sings."""
    for _ in range(HEARINGS):
        heard = await juliet.hear(sid), phone.hear()
        if ear.is_tone(heard[0], phones.TONE) and ear.is_tone(heard[1], caller.TONE):
            break
        await asyncio.sleep(0.25)
    show("juliet hears", frequency(heard[0]))
    show("the phone hears", frequency(heard[1]))
    for who, what, right in (("juliet", heard[0], phones.TONE), ("the phone", heard[1], caller.TONE)):
        if not ear.is_tone(what, right):
            raise Failure(f"{who} should hear {right} Hz, but hears {frequency(what)}")


def frequency(hertz):
    return "nothing" if hertz is None else f"{hertz} Hz"


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
  call         {NUMBER}@{GATEWAY} too, with a client on this machine that has calls: the phone answers with a tone

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
        while not phone.events.empty():
            event = phone.events.get_nowait()
            if event["type"] in CALLS:
                show(f"the phone: {CALLS[event['type']]}", event.get("peeruri", ""))
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
    singer = Caller(stage, "juliet")
    await singer.log_in()
    await call(singer, phone)
    await singer.leave()
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
