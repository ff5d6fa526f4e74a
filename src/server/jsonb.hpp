#pragma once

#include <string>
#include <string_view>

#include "core/json/json.hpp"
#include "core/json/json_view.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * A value of a jsonb, read where it lies; a view of core/json_view.hpp. Nothing here can raise an error.
 */
class JsonbView {
  public:
	// The root of a jsonb that is not toasted.
	explicit JsonbView(const Jsonb *jsonb) {
		const JsonbContainer *root = &jsonb->root;
		if (JsonContainerIsScalar(root)) {
			Set(root->children[0], reinterpret_cast<const char *>(&root->children[1]), 0, JBE_OFFLENFLD(root->children[0]));
		} else {
			SetContainer(root, static_cast<uint32>(VARSIZE(jsonb) - VARHDRSZ));
		}
	}

	Json::Kind
	kind() const {
		return kind_;
	}
	bool
	boolean() const {
		return boolean_;
	}
	std::string_view
	bytes() const {
		return {data_, length_};
	}
	template <typename F>
	void
	ForEachMember(F &&member) const {
		const auto *container = reinterpret_cast<const JsonbContainer *>(data_);
		const uint32 count = JsonContainerSize(container);
		const char *base = reinterpret_cast<const char *>(&container->children[2 * count]);
		uint32 key_offset = 0;
		uint32 value_offset = getJsonbOffset(container, static_cast<int>(count));
		for (uint32 i = 0; i < count; i++) {
			const uint32 key_end = End(container->children[i], key_offset);
			const JEntry entry = container->children[count + i];
			const uint32 value_end = End(entry, value_offset);
			member(std::string_view(base + key_offset, key_end - key_offset), JsonbView(entry, base, value_offset, value_end - value_offset));
			key_offset = key_end;
			value_offset = value_end;
		}
	}
	template <typename F>
	void
	ForEachElement(F &&element) const {
		const auto *container = reinterpret_cast<const JsonbContainer *>(data_);
		const uint32 count = JsonContainerSize(container);
		const char *base = reinterpret_cast<const char *>(&container->children[count]);
		uint32 offset = 0;
		for (uint32 i = 0; i < count; i++) {
			const uint32 end = End(container->children[i], offset);
			element(JsonbView(container->children[i], base, offset, end - offset));
			offset = end;
		}
	}
	void StoreDocument(Json *target) const;

  private:
	JsonbView(JEntry entry, const char *base, uint32 offset, uint32 length) {
		Set(entry, base, offset, length);
	}
	static uint32
	End(JEntry entry, uint32 offset) {
		return JBE_HAS_OFF(entry) ? JBE_OFFLENFLD(entry) : offset + JBE_OFFLENFLD(entry);
	}
	void
	Set(JEntry entry, const char *base, uint32 offset, uint32 length) {
		const uint32 aligned = static_cast<uint32>(INTALIGN(offset));
		if (JBE_ISNULL(entry)) {
			kind_ = Json::Kind::kNull;
		} else if (JBE_ISBOOL(entry)) {
			kind_ = Json::Kind::kBool;
			boolean_ = JBE_ISBOOL_TRUE(entry);
		} else if (JBE_ISSTRING(entry)) {
			kind_ = Json::Kind::kString;
			data_ = base + offset;
			length_ = length;
		} else if (JBE_ISNUMERIC(entry)) {
			kind_ = Json::Kind::kNumber;
			data_ = base + aligned;
			length_ = length - (aligned - offset);
		} else {
			SetContainer(reinterpret_cast<const JsonbContainer *>(base + aligned), length - (aligned - offset));
		}
	}
	void
	SetContainer(const JsonbContainer *container, uint32 length) {
		kind_ = JsonContainerIsObject(container) ? Json::Kind::kObject : Json::Kind::kArray;
		data_ = reinterpret_cast<const char *>(container);
		length_ = length;
	}

	Json::Kind kind_ = Json::Kind::kNull;
	bool boolean_ = false;
	const char *data_ = nullptr;
	uint32 length_ = 0;
};

/*
 * What JSON asks of the server: numbers are numerics, documents are jsonb datums. It holds nothing.
 */
class ServerJson : public JsonHost {
  public:
	bool Equal(std::string_view number, std::string_view other) const override;
	std::string Sum(std::string_view number, std::string_view other) const override;
	Json Expand(std::string_view document) const override;
	void CheckStack() const override;
};

// A jsonb as a value that can be changed.
Json JsonOf(Datum jsonb);

} // namespace auren::pg
