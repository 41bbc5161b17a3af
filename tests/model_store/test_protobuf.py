import shutil

import pytest

from model_store.open_inference import PROTO_PATH, messages
from model_store.protobuf import COMPILED_SUFFIX, compile_proto, load_proto


def test_messages_round_trip():
    request = messages().ModelInferRequest(model_name="net", id="7")
    request.parameters["top_k"].int64_param = 3
    again = messages().ModelInferRequest.FromString(request.SerializeToString())
    assert (again.model_name, again.id, again.parameters["top_k"].int64_param) == ("net", "7", 3)


def test_lives_beside_tritonclient_in_one_process():
    from tritonclient.grpc import service_pb2

    theirs = service_pb2.ModelInferRequest(model_name="net").SerializeToString()
    assert messages().ModelInferRequest.FromString(theirs).model_name == "net"


def test_compiled_descriptors_are_used_instead_of_protoc(tmp_path):
    proto = tmp_path / "open_inference.proto"
    proto.write_text("this is never compiled")
    proto.with_suffix(COMPILED_SUFFIX).write_bytes(compile_proto(PROTO_PATH))
    assert load_proto(proto).ServerLiveResponse(live=True).live


def test_unknown_message_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no message Nonsense"):
        _ = messages().Nonsense


def test_broken_proto_names_the_file(tmp_path, capfd):
    proto = tmp_path / "broken.proto"
    shutil.copy(PROTO_PATH, proto)
    proto.write_text(proto.read_text() + "message {")
    with pytest.raises(ValueError, match=r"broken\.proto is not a valid"):
        load_proto(proto)
    capfd.readouterr()
