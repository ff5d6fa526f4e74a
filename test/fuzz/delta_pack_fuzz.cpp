// Whatever bytes are: they are refused, or every delta that they claim to hold can be read. What was packed is read back.

#include <algorithm>
#include <tuple>
#include <vector>

#include "core/metrics/delta_pack.hpp"
#include "core/error.hpp"
#include "fuzz/bytes.hpp"
#include "fuzz/require.hpp"

using namespace auren;
using namespace auren::test;

namespace {

void
ReadAll(const std::string &bytes) {
	try {
		const DeltaPackReader reader(bytes);
		for (std::size_t i = 0; i < reader.count(); i++) {
			Require(reader.At(i).summary.size() <= bytes.size());
			Require(reader.FirstOf(reader.At(i).series) <= reader.count());
		}
	} catch (const DomainError &error) {
		Require(error.sqlstate() == "22P03");
	}
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
	Bytes bytes(data, size);
	std::vector<std::tuple<std::int64_t, std::int64_t, std::string>> deltas;
	for (int n = bytes.Byte() % 80; n > 0; n--) {
		const int series = bytes.Byte() - 128;
		const auto number = static_cast<std::int64_t>(static_cast<std::uint64_t>(series) << (bytes.Byte() % 57));
		deltas.emplace_back(number, bytes.Byte() - 128, bytes.Text(20));
	}
	std::sort(deltas.begin(), deltas.end());
	DeltaPack pack;
	for (const auto &[series, bucket, summary] : deltas) {
		pack.Add(series, bucket, summary);
	}
	std::string written(pack.size(), '\0');
	pack.Write(&written[0]);
	const DeltaPackReader reader(written);
	Require(reader.count() == deltas.size());
	for (std::size_t i = 0; i < deltas.size(); i++) {
		const DeltaPackReader::Delta delta = reader.At(i);
		Require(std::make_tuple(delta.series, delta.bucket, std::string(delta.summary)) == deltas[i]);
		const std::size_t first = reader.FirstOf(delta.series);
		Require(first <= i && reader.At(first).series == delta.series && (first == 0 || reader.At(first - 1).series < delta.series));
	}
	for (int changes = bytes.Byte() % 8; changes > 0; changes--) {
		written[(bytes.Byte() * 256U + bytes.Byte()) % written.size()] = static_cast<char>(bytes.Byte());
	}
	ReadAll(written);
	ReadAll(written.substr(0, bytes.Byte() % (written.size() + 1)));
	return 0;
}
