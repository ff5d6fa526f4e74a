// Whatever a text is: it is refused, or it is the one text of the bytes that it holds. Key files likewise never crash, and no error
// shows a key.

#include "core/encrypted/envelope.hpp"
#include "core/error.hpp"
#include "core/encrypted/master_keys.hpp"
#include "core/encrypted/personal.hpp"
#include "fuzz/bytes.hpp"
#include "fuzz/require.hpp"

using namespace auren;
using namespace auren::test;

namespace {

const std::string kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
CheckEnvelope(const std::string &text) {
	EnvelopeHeader header;
	std::string body;
	const bool is_one = TryReadEnvelope(text, &header, &body);
	std::string read;
	try {
		(void)ReadEnvelope(text, &read);
		Require(is_one && read == body);
	} catch (const DomainError &error) {
		Require(!is_one && (error.sqlstate() == "22P02" || error.sqlstate() == "0A000"));
	}
	if (is_one) {
		Require(LooksLikeEnvelope(text));
		std::string again(body.size(), '\0');
		again = body;
		WriteEnvelopeHeader(header, reinterpret_cast<std::uint8_t *>(&again[0]));
		Require(again == body);
		std::string written(EnvelopeLength(body.size() - kEnvelopeHeaderBytes - kEnvelopeTagBytes), '\0');
		WriteEnvelope(reinterpret_cast<const std::uint8_t *>(body.data()), body.size(), &written[0]);
		Require(written == text);
	}
}

void
CheckKeys(const std::string &text) {
	try {
		const MasterKeys keys = MasterKeys::Parse(text, "the file");
		Require(keys.size() > 0 && keys.Find(keys.current().id) != nullptr);
	} catch (const DomainError &error) {
		Require(error.sqlstate() == "F0000" && !error.hint().empty());
	}
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
	Bytes bytes(data, size);
	switch (bytes.Byte() % 4) {
	case 0:
		CheckEnvelope(bytes.Text(200));
		break;
	case 1:
		CheckEnvelope("phi1:" + bytes.TextOf(kDigits, 120));
		break;
	case 2:
		CheckEnvelope("phi1:" + bytes.TextOf("AB", 2) + bytes.TextOf(kDigits, 120) + bytes.Text(3));
		break;
	default:
		CheckKeys(bytes.TextOf("a \n\t", 10) + bytes.Repeated(bytes.TextOf("0123456789abcdef", 8), 9) + bytes.TextOf("\n a#g", 6) + "k " +
		          std::string(60, 'a') + bytes.Text(5));
		break;
	}
	return 0;
}
