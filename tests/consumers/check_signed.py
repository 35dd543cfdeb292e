"""Reads our signed verdicts as their consumers do, and signs one as they would.

Called with a manifest: {"bundle", "key" (public, PEM), "digests" (of the subjects), "result", "signed" (where a bundle that
securesystemslib signed is put), "signed_key" (where its public key is put)}.
"""

import copy
import json
import pathlib
import sys

import in_toto_attestation.v1.statement_pb2 as statement_pb2
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib import dsse as securesystems
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey
from sigstore import dsse as sigstore
from sigstore.errors import VerificationError as SigstoreVerificationError
from sigstore_models.bundle.v1 import Bundle

TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"


def check_securesystemslib(envelope, key):
    """DSSE with the key alone; and not with one byte changed."""
    named = SSlibKey.from_crypto(key)
    # A bundle does not name its key: whoever verifies has it.
    public = SSlibKey("", named.keytype, named.scheme, named.keyval)
    read = securesystems.Envelope.from_dict(copy.deepcopy(envelope))
    assert read.verify([public], 1), "securesystemslib does not verify it"
    read.payload = read.payload.replace(b"PASSED", b"FAILED")
    try:
        read.verify([public], 1)
    except VerificationError:
        return
    raise AssertionError("securesystemslib verifies what was changed: this proves nothing")


def check_sigstore(text, key):
    """The bundle in Sigstore's own form, its envelope, and the statement."""
    bundle = Bundle.from_json(text)
    assert bundle.media_type == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert bundle.verification_material.public_key.hint, "the bundle does not hint whose key it is"
    assert not bundle.verification_material.tlog_entries
    envelope = sigstore.Envelope(bundle.dsse_envelope)
    payload = sigstore._verify(key, envelope)
    sigstore.Statement(payload)
    other = CryptoSigner.generate_ecdsa().public_key
    try:
        sigstore._verify(load_pem_public_key(other.keyval["public"].encode()), envelope)
    except SigstoreVerificationError:
        return payload
    raise AssertionError("sigstore verifies by any key: this proves nothing")


def check_in_toto(payload, manifest):
    """The statement and the predicate, as in-toto's own messages."""
    # Our words are an extension: readers pass over them.
    message = json_format.Parse(payload, statement_pb2.Statement())
    statement = Statement.copy_from_pb(message)
    statement.validate()
    assert message.predicate_type == TEST_RESULT
    digests = sorted(subject.digest["sha256"] for subject in message.subject)
    assert digests == sorted(manifest["digests"]), digests
    predicate = json_format.MessageToDict(message.predicate)
    result = json_format.ParseDict(predicate, test_result_pb2.TestResult(), ignore_unknown_fields=True)
    assert result.result == manifest["result"], result.result
    assert [file.name for file in result.configuration][0] == "rehearsal"
    assert all(file.digest["sha256"] for file in result.configuration)


def sign(payload, manifest):
    """The same statement, signed by a key of theirs."""
    signer = CryptoSigner.generate_ecdsa()
    envelope = securesystems.Envelope(payload, "application/vnd.in-toto+json", {})
    envelope.sign(signer)
    bundle = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": signer.public_key.keyid}},
        "dsseEnvelope": envelope.to_dict(),
    }
    pathlib.Path(manifest["signed"]).write_text(json.dumps(bundle), encoding="utf-8")
    pathlib.Path(manifest["signed_key"]).write_text(signer.public_key.keyval["public"], encoding="utf-8")


def main():
    manifest = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    text = pathlib.Path(manifest["bundle"]).read_text(encoding="utf-8")
    key = load_pem_public_key(pathlib.Path(manifest["key"]).read_bytes())
    check_securesystemslib(json.loads(text)["dsseEnvelope"], key)
    payload = check_sigstore(text, key)
    check_in_toto(payload, manifest)
    sign(payload, manifest)


if __name__ == "__main__":
    main()
