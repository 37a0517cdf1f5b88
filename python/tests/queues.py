"""Sends messages to queues with their own clients: `queues.py KIND ADDRESS USER PASSWORD`, one JSON object a line on standard input.

A message has a `body` (text), and may have `headers`, `id` and `key`; `{"burst": 1000}` are so many with the body `{"n": 0}`, `{"n": 1}`, …
`{"setup": true}` makes what has to be there before. Each line is answered by a line once the server has it.

`queues.py kafka-broker` runs brokers for tests, which librdkafka brings along, and says where they are; with a user and a password behind TLS and
a login.
"""

import asyncio
import json
import sys
from urllib.parse import urlsplit

NAME = "orders"


def lines():
    for line in sys.stdin:
        yield json.loads(line)
        print("done", flush=True)


def messages(line):
    """The messages of a line."""
    if "burst" in line:
        return [{"body": json.dumps({"n": n})} for n in range(line["burst"])]
    return [] if "setup" in line else [line]


def redis(address, user, password):
    import redis as client

    server = client.Redis.from_url(address, password=password)
    for line in lines():
        pipe = server.pipeline(transaction=False)
        for message in messages(line):
            pipe.xadd(NAME, {**message.get("headers", {}), "body": message["body"]})
            pipe.rpush(f"{NAME}-list", message["body"])
        pipe.execute()


def nats(address, user, password):
    import nats as client

    async def send():
        server = await client.connect(address, user=user, password=password)
        stream = server.jetstream()
        for line in lines():
            if "setup" in line:
                await stream.add_stream(name="ORDERS", subjects=[NAME])
            for message in messages(line):
                headers = {**message.get("headers", {}), **({"Nats-Msg-Id": message["id"]} if "id" in message else {})}
                if line.get("core"):
                    await server.publish("passing", message["body"].encode(), headers=headers or None)
                    await server.flush()
                else:
                    await stream.publish(NAME, message["body"].encode(), headers=headers or None)

    asyncio.run(send())


def mqtt(address, user, password):
    import paho.mqtt.client as client
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    place = urlsplit(address)
    sender = client.Client(client.CallbackAPIVersion.VERSION2, protocol=client.MQTTv5)
    sender.username_pw_set(user, password)
    sender.connect(place.hostname, place.port)
    sender.loop_start()
    for line in lines():
        for message in messages(line):
            properties = Properties(PacketTypes.PUBLISH)
            if "headers" in message:
                properties.UserProperty = list(message["headers"].items())
            retain = message.get("retain", False)
            sender.publish(NAME, message["body"], qos=1, retain=retain, properties=properties).wait_for_publish(30)


def rabbitmq(address, user, password):
    import pika

    place = urlsplit(address)
    credentials = pika.PlainCredentials(user, password)
    connection = pika.BlockingConnection(pika.ConnectionParameters(place.hostname, place.port, credentials=credentials))
    channel = connection.channel()
    channel.confirm_delivery()
    for line in lines():
        if "setup" in line:
            channel.queue_declare(NAME, durable=True)
        for message in messages(line):
            properties = pika.BasicProperties(
                message_id=message.get("id"), headers=message.get("headers"), delivery_mode=2
            )
            channel.basic_publish("", NAME, message["body"].encode(), properties)


def postgres(address, user, password):
    import psycopg2

    place = urlsplit(address)
    server = psycopg2.connect(host=place.hostname, port=place.port, dbname="postgres", user=user, password=password)
    server.autocommit = True
    told = server.cursor()
    for line in lines():
        if "setup" in line:
            told.execute("create table if not exists outbox (id bigserial primary key, body jsonb)")
        elif "burst" in line:
            told.execute(
                "insert into outbox (body) select jsonb_build_object('n', n) from generate_series(0, %s - 1) n",
                (line["burst"],),
            )
            told.execute("notify orders")
        else:
            body = line["body"]
            try:
                json.loads(body)
                row = body
            except ValueError:
                row = json.dumps(body)
            told.execute("insert into outbox (body) values (%s)", (row,))
            told.execute("select pg_notify(%s, %s)", (NAME, body))


def kafka(address, user, password):
    send_to_kafka({"bootstrap.servers": address.removeprefix("kafka://")})


def kafka_secure(address, user, password):
    send_to_kafka(
        {
            "bootstrap.servers": address.removeprefix("kafka://"), "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.username": user, "sasl.password": password, "ssl.ca.location": "certificate",
        }
    )


def send_to_kafka(settings):
    import confluent_kafka

    producer = confluent_kafka.Producer(settings)
    for line in lines():
        for message in messages(line):
            headers = list(message.get("headers", {}).items())
            producer.produce(NAME, message["body"], key=message.get("key"), headers=headers)
            producer.poll(0)
        producer.flush()


def imap(address, user, password):
    import imaplib
    import ssl
    from email.message import EmailMessage

    place = urlsplit(address)
    trusting = ssl._create_unverified_context()
    server = imaplib.IMAP4_SSL(place.hostname, place.port, ssl_context=trusting)
    server.login(user, password)
    for line in lines():
        if "setup" in line:
            continue
        mail = EmailMessage()
        mail["From"] = f"Orders <{line.get('from', 'orders@supplier.example')}>"
        mail["To"] = "us@example.org"
        mail["Subject"] = line.get("subject", "about orders")
        if "id" in line:
            mail["Message-ID"] = line["id"]
        mail.set_content(line["body"])
        if "attachment" in line:
            mail.add_attachment(line.get("content", "a,b\n"), subtype="csv", filename=line["attachment"])
        server.append("INBOX", None, None, mail.as_bytes())


def objects(line, put, delete):
    """Stores the objects that a line names, or deletes them."""
    for name, body in line.get("put", {}).items():
        put(name, body.encode())
    for name in line.get("delete", []):
        delete(name)


def azblob(address, account, key):
    from azure.storage.blob import BlobServiceClient

    container = BlobServiceClient(address, credential={"account_name": account, "account_key": key}).get_container_client("lake")
    for line in lines():
        if "setup" in line:
            container.create_container()
        objects(line, lambda name, body: container.upload_blob(name, body, overwrite=True), container.delete_blob)


def gcs(address, user, password):
    from urllib.parse import quote
    from urllib.request import Request, urlopen

    def ask(method, path, body=None, kind="application/octet-stream"):
        urlopen(Request(address + path, data=body, method=method, headers={"content-type": kind})).read()

    for line in lines():
        if "setup" in line:
            ask("POST", "/storage/v1/b?project=test", b'{"name": "lake"}', "application/json")
        objects(
            line,
            lambda name, body: ask("POST", f"/upload/storage/v1/b/lake/o?uploadType=media&name={quote(name, '')}", body),
            lambda name: ask("DELETE", f"/storage/v1/b/lake/o/{quote(name, '')}"),
        )


def kafka_broker(login=None):
    """Brokers of librdkafka: real sockets and the real protocol, records in memory. With a login, behind TLS (files `certificate` and `key`)."""
    import confluent_kafka

    producer = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "none"})
    brokers = producer.list_topics(NAME, timeout=30).brokers.values()
    places = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    if login:
        import kafka_secure as before

        places = f"localhost:{before.serve(places, 'certificate', 'key', *login)}"
    print(places, flush=True)
    sys.stdin.read()


def main():
    if sys.argv[1] == "kafka-broker":
        return kafka_broker(sys.argv[2:])
    kind, address, user, password = sys.argv[1:]
    senders = {"redis": redis, "nats": nats, "mqtt": mqtt, "rabbitmq": rabbitmq, "postgres": postgres, "kafka": kafka, "kafka-secure": kafka_secure, "imap": imap, "azblob": azblob, "gcs": gcs}
    return senders[kind](address, user, password)


main()
