#include "server/jsonb_writer.hpp"

#include <cstring>
#include <string>

#include "core/error.hpp"
#include "server/guard.hpp"
#include "server/jsonb.hpp"

namespace auren::pg {

namespace {

[[noreturn]] void
TooLarge() {
	throw DomainError("54000", "a state is too large for a jsonb", "An object or array in it has more than 256 MB or 268,435,455 elements.",
	                  "Keep less in it: append has a limit, ignore leaves a type out.");
}

/*
 * Writes into one buffer that begins with the length word. Offsets in a container are relative to the container, and
 * every container and number is aligned to four bytes, counted from the buffer's beginning.
 */
class Writer {
  public:
	Writer() : buffer_(VARHDRSZ, '\0') {
	}
	void
	WriteRoot(const Json &value) {
		if (value.is(Json::Kind::kDocument)) {
			const Opened opened(value.document().bytes);
			buffer_.assign(reinterpret_cast<const char *>(opened.jsonb()), VARSIZE(opened.jsonb()));
			return;
		}
		if (value.is(Json::Kind::kObject) || value.is(Json::Kind::kArray)) {
			(void)Write(value);
			return;
		}
		// a scalar is an array of one element that says so
		Append32(1 | JB_FARRAY | JB_FSCALAR);
		const std::size_t entry = buffer_.size();
		Append32(0);
		const JEntry written = Write(value);
		Put32(entry, (written & JENTRY_TYPEMASK) | JENTRY_HAS_OFF | JBE_OFFLENFLD(written));
	}
	const std::string &
	buffer() const {
		return buffer_;
	}

  private:
	// A document as a jsonb that is not toasted.
	class Opened {
	  public:
		explicit Opened(const std::string &bytes) : given_(bytes.data()) {
			const char *given = given_;
			jsonb_ =
				VARATT_IS_EXTENDED(given) ? Call([&] { return DatumGetJsonbP(PointerGetDatum(given)); }) : reinterpret_cast<const Jsonb *>(given);
		}
		Opened(const Opened &) = delete;
		Opened &operator=(const Opened &) = delete;
		~Opened() {
			if (reinterpret_cast<const char *>(jsonb_) != given_) {
				pfree(const_cast<Jsonb *>(jsonb_));
			}
		}
		const Jsonb *
		jsonb() const {
			return jsonb_;
		}

	  private:
		const char *given_;
		const Jsonb *jsonb_;
	};

	void
	Append32(uint32 value) {
		buffer_.append(reinterpret_cast<const char *>(&value), sizeof value);
	}
	void
	Put32(std::size_t at, uint32 value) {
		std::memcpy(&buffer_[at], &value, sizeof value);
	}
	void
	Align() {
		buffer_.append(INTALIGN(buffer_.size()) - buffer_.size(), '\0');
	}
	// What was written since a place, as an entry of its type.
	JEntry
	EntrySince(std::size_t begin, uint32 type) const {
		const std::size_t length = buffer_.size() - begin;
		if (length > JENTRY_OFFLENMASK) {
			TooLarge();
		}
		return type | static_cast<uint32>(length);
	}

	JEntry
	Write(const Json &value) {
		const std::size_t begin = buffer_.size();
		switch (value.kind()) {
		case Json::Kind::kNull:
			return JENTRY_ISNULL;
		case Json::Kind::kBool:
			return value.boolean() ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE;
		case Json::Kind::kNumber:
			return WriteAligned(value.number().bytes, JENTRY_ISNUMERIC);
		case Json::Kind::kString:
			buffer_ += value.string();
			return EntrySince(begin, JENTRY_ISSTRING);
		case Json::Kind::kArray:
			WriteArray(value.array());
			return EntrySince(begin, JENTRY_ISCONTAINER);
		case Json::Kind::kObject:
			WriteObject(value.object());
			return EntrySince(begin, JENTRY_ISCONTAINER);
		case Json::Kind::kDocument:
			return WriteDocument(value.document().bytes);
		}
		return JENTRY_ISNULL;
	}
	JEntry
	WriteAligned(std::string_view bytes, uint32 type) {
		const std::size_t begin = buffer_.size();
		Align();
		buffer_ += bytes;
		return EntrySince(begin, type);
	}
	JEntry
	WriteDocument(const std::string &bytes) {
		const Opened opened(bytes);
		const JsonbView view(opened.jsonb());
		switch (view.kind()) {
		case Json::Kind::kNull:
			return JENTRY_ISNULL;
		case Json::Kind::kBool:
			return view.boolean() ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE;
		case Json::Kind::kNumber:
			return WriteAligned(view.bytes(), JENTRY_ISNUMERIC);
		case Json::Kind::kString: {
			const std::size_t begin = buffer_.size();
			buffer_ += view.bytes();
			return EntrySince(begin, JENTRY_ISSTRING);
		}
		default:
			return WriteAligned(view.bytes(), JENTRY_ISCONTAINER);
		}
	}

	// Room for a container's header and entries; returns where the entries begin.
	std::size_t
	BeginContainer(std::size_t count, uint32 type, std::size_t entries) {
		if (stack_is_too_deep()) {
			throw DomainError("54001", "stack depth limit exceeded", "A state or an event is nested too deeply.");
		}
		if (count > JB_CMASK) {
			TooLarge();
		}
		Align();
		Append32(static_cast<uint32>(count) | type);
		const std::size_t begin = buffer_.size();
		buffer_.append(entries * sizeof(JEntry), '\0');
		return begin;
	}
	// Every so often an entry holds the end's offset in place of a length, so that one can be found without adding all up.
	void
	PutEntry(std::size_t entries, std::size_t index, JEntry entry, std::size_t *total) {
		*total += JBE_OFFLENFLD(entry);
		if (*total > JENTRY_OFFLENMASK) {
			TooLarge();
		}
		if (index % JB_OFFSET_STRIDE == 0) {
			entry = (entry & JENTRY_TYPEMASK) | static_cast<uint32>(*total) | JENTRY_HAS_OFF;
		}
		Put32(entries + index * sizeof(JEntry), entry);
	}
	void
	WriteArray(const Json::Array &array) {
		const std::size_t entries = BeginContainer(array.size(), JB_FARRAY, array.size());
		std::size_t total = 0;
		std::size_t index = 0;
		for (const Json &element : array) {
			PutEntry(entries, index++, Write(element), &total);
		}
	}
	void
	WriteObject(const Json::Object &object) {
		const std::size_t entries = BeginContainer(object.size(), JB_FOBJECT, object.size() * 2);
		std::size_t total = 0;
		std::size_t index = 0;
		for (const auto &member : object) {
			const std::size_t begin = buffer_.size();
			buffer_ += member.first;
			PutEntry(entries, index++, EntrySince(begin, JENTRY_ISSTRING), &total);
		}
		for (const auto &member : object) {
			PutEntry(entries, index++, Write(member.second), &total);
		}
	}

	std::string buffer_;
};

} // namespace

Datum
WriteJsonb(const Json &value) {
	Writer writer;
	writer.WriteRoot(value);
	const std::size_t size = writer.buffer().size();
	if (size > MaxAllocSize) {
		TooLarge();
	}
	const char *bytes = writer.buffer().data();
	return Call([&] {
		auto *jsonb = static_cast<char *>(palloc(size));
		std::memcpy(jsonb, bytes, size);
		SET_VARSIZE(jsonb, size);
		return PointerGetDatum(jsonb);
	});
}

} // namespace auren::pg
