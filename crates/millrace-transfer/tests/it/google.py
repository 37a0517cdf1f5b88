"""Google's way to write objects, in front of moto: the XML API takes S3's requests, with `x-goog-` where S3 has `x-amz-`, and needs no key.

https://cloud.google.com/storage/docs/interoperability, https://cloud.google.com/storage/docs/migrating. The server that speaks the rest of
Google's protocol, fake-gcs-server, knows neither these uploads nor those in parts. A token is that of a service account, signed by itself
(https://google.aip.dev/auth/4111); the public key of the one that is known lies beside this file.
"""

import base64
import json
import pathlib
import sys
import time

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from moto.server import create_backend_app
from werkzeug.serving import run_simple

ACCOUNT = pathlib.Path(__file__).with_name("account.pem")
REFUSAL = b"<Error><Code>AuthenticationRequired</Code><Message>Authentication required.</Message></Error>"
moto = create_backend_app("s3")
generation = 0
# moto gives nobody what is not public, and believes any signature.
SIGNED = "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def is_known(token):
    head, claims, signature = token.split(".")
    told = json.loads(decoded(claims))
    try:
        key = load_pem_public_key(ACCOUNT.read_bytes())
        key.verify(decoded(signature), f"{head}.{claims}".encode(), PKCS1v15(), SHA256())
    except Exception:
        return False
    return told["iss"] == "loader@project.iam.gserviceaccount.com" and told["exp"] > time.time()


def in_its_words(name):
    return "x-goog-" + name[len("x-amz-") :] if name.lower().startswith("x-amz-") else name


def application(environ, start_response):
    for name in [name for name in environ if name.startswith("HTTP_X_GOOG_")]:
        environ["HTTP_X_AMZ_" + name[len("HTTP_X_GOOG_") :]] = environ.pop(name)
    kind, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind == "Bearer" and token.strip() and not is_known(token):
        start_response("401 Unauthorized", [("content-type", "application/xml")])
        return [REFUSAL]
    environ["HTTP_AUTHORIZATION"] = SIGNED

    def start(status, headers, *error):
        global generation
        generation += 1
        answered = [(in_its_words(name), value) for name, value in headers]
        return start_response(status, [*answered, ("x-goog-generation", str(generation))], *error)

    return moto(environ, start)


run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True)
