"""A gRPC client: makes calls and prints what came of each as a line of JSON.

    grpc_client.py ADDRESS [--authority FILE --name NAME] CALL…

A call is a JSON object: `kind` (unary, client, server, two, chat, large), `method`, `messages`, and
perhaps `timeout` (seconds), `metadata`, `cancel`.
"""

import argparse
import json
import time

import grpc


def metadata(pairs):
    return {key: value if isinstance(value, str) else value.hex() for key, value in pairs or ()}


def outcome(call, replies, error=None):
    source = error if error is not None else call
    return {
        "code": source.code().name,
        "details": source.details(),
        "replies": replies,
        "initial": metadata(call.initial_metadata()) if hasattr(call, "initial_metadata") else {},
        "trailing": metadata(source.trailing_metadata()),
    }


def lockstep(channel, path, messages, options):
    """Sends each message only when the answer to the one before is there."""
    import queue

    outgoing = queue.SimpleQueue()
    call = channel.stream_stream(path)(iter(outgoing.get, None), **options)
    replies = []
    for message in messages:
        outgoing.put(message)
        replies.append(next(call).decode())
    outgoing.put(None)
    assert list(call) == []
    return outcome(call, replies)


def two(channel, path, options):
    """The second message is sent only when the first has arrived and another call has said so."""
    call = channel.unary_stream(path)(b"", **options)
    replies = [next(call).decode()]
    channel.unary_unary("/test.Echo/Release")(b"")
    replies += [reply.decode() for reply in call]
    return outcome(call, replies)


def large(channel, address, path, messages, options):
    """Reads one message, waits until the server can send no more, and reads the rest."""
    call = channel.unary_stream(path)(messages[0], **options)
    length = len(next(call))
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as other:
        sent, before = -1, -2
        while sent != before:
            time.sleep(0.5)
            before, sent = sent, int(other.unary_unary("/test.Echo/Sent")(b""))
    length += sum(len(reply) for reply in call)
    return outcome(call, [str(sent), str(length)])


def make(channel, address, wanted):
    path = wanted["method"] if "/" in wanted["method"] else f"/test.Echo/{wanted['method']}"
    messages = [message.encode() for message in wanted.get("messages", [""])]
    options = {"metadata": list(wanted.get("metadata", {}).items())}
    if "timeout" in wanted:
        options["timeout"] = wanted["timeout"]
    call, replies = None, []
    try:
        match wanted["kind"]:
            case "unary":
                reply, call = channel.unary_unary(path).with_call(messages[0], **options)
                replies = [reply.decode()]
            case "client":
                reply, call = channel.stream_unary(path).with_call(iter(messages), **options)
                replies = [reply.decode()]
            case "server":
                call = channel.unary_stream(path)(messages[0], **options)
                for reply in call:
                    replies.append(reply.decode())
                    if wanted.get("cancel"):
                        call.cancel()
            case "chat":
                return lockstep(channel, path, messages, options)
            case "two":
                return two(channel, path, options)
            case "large":
                return large(channel, address, path, messages, options)
        return outcome(call, replies)
    except grpc.RpcError as error:
        return outcome(error, replies, error)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--authority")
    parser.add_argument("--name")
    parser.add_argument("calls", nargs="+")
    arguments = parser.parse_args()
    if arguments.authority:
        with open(arguments.authority, "rb") as authority:
            credentials = grpc.ssl_channel_credentials(authority.read())
        options = [("grpc.ssl_target_name_override", arguments.name)]
        channel = grpc.secure_channel(arguments.address, credentials, options)
    else:
        channel = grpc.insecure_channel(arguments.address)
    with channel:
        for call in arguments.calls:
            started = time.monotonic()
            result = make(channel, arguments.address, json.loads(call))
            result["seconds"] = time.monotonic() - started
            print(json.dumps(result), flush=True)


main()
