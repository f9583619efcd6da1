"""A subscriber as one writes it in an afternoon: paho hands each message to asyncio, which stores and commits it.

It verifies nothing, gives no receipt, and stores a message twice when it comes twice.
"""

import asyncio
import sys
import time

import aiosqlite
import paho.mqtt.client as mqtt


async def main(host: str, port: str, ca: str, certificate: str, database: str, topic: str) -> None:  # noqa: PLR0917 -- as they come from the command line
    loop, queue = asyncio.get_running_loop(), asyncio.Queue()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="peer", protocol=mqtt.MQTTv5)
    client.tls_set(ca_certs=ca, certfile=certificate, keyfile=certificate)
    client.on_connect = lambda *_: client.subscribe(topic, qos=1)
    client.on_message = lambda _client, _data, message: loop.call_soon_threadsafe(queue.put_nowait, message)
    client.connect(host, int(port))
    client.loop_start()
    async with aiosqlite.connect(database) as db:
        while True:
            message = await queue.get()
            await db.execute(
                "INSERT INTO message (topic, at, payload) VALUES (?, ?, ?)",
                (message.topic, time.time(), message.payload),
            )
            await db.commit()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
