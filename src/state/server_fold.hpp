#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/state/fold.hpp"
#include "server/jsonb.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The data of an event as its row holds it, perhaps compressed or in the TOAST table: opened when a reducer looks into it, and
 * kept as it is by one that does not.
 */
class EventData {
  public:
	explicit EventData(Datum datum) : datum_(datum) {
	}
	EventData(const EventData &) = delete;
	EventData &operator=(const EventData &) = delete;
	~EventData();

	Json::Kind
	kind() const {
		return Open().kind();
	}
	bool
	boolean() const {
		return Open().boolean();
	}
	std::string_view
	bytes() const {
		return Open().bytes();
	}
	template <typename F>
	void
	ForEachMember(F &&member) const {
		Open().ForEachMember(member);
	}
	std::string_view
	raw() const {
		const auto *varlena = reinterpret_cast<const char *>(DatumGetPointer(datum_));
		return {varlena, VARSIZE_ANY(varlena)};
	}

  private:
	const JsonbView &Open() const;

	Datum datum_;
	mutable Jsonb *opened_ = nullptr;
	mutable std::optional<JsonbView> view_;
};

// Found for EventData in place of core's template: whatever it is, it is kept unread.
inline void
Store(Json *target, const EventData &data) {
	target->SetDocument(data.raw());
}

/*
 * What a fold asks of the server, the functions of reducers among it.
 */
class ServerFold : public FoldHost {
  public:
	ServerFold();
	~ServerFold() override;
	ServerFold(const ServerFold &) = delete;
	ServerFold &operator=(const ServerFold &) = delete;

	bool
	Equal(std::string_view number, std::string_view other) const override {
		return json_.Equal(number, other);
	}
	std::string
	Sum(std::string_view number, std::string_view other) const override {
		return json_.Sum(number, other);
	}
	Json
	Expand(std::string_view document) const override {
		return json_.Expand(document);
	}
	void
	CheckStack() const override {
		json_.CheckStack();
	}
	std::string_view One() const override;
	bool CallFunction(const Reducer &reducer, const Json &state, std::string_view event_type, const Json &data, Json *result) override;
	// From here on a state holds what was decrypted: the text of an error of a reducer's function, which may print it, is left out.
	void
	HoldDecrypted() {
		holds_decrypted_ = true;
	}

  private:
	FmgrInfo *FunctionOf(const Reducer &reducer);

	ServerJson json_;
	MemoryContext home_;              // of what lives as long as this does
	MemoryContext context_ = nullptr; // of what a function's call needs, reset after it; made for the first one
	std::unordered_map<Oid, FmgrInfo> functions_;
	bool holds_decrypted_ = false;
};

} // namespace auren::pg
