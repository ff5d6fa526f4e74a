// Trigger functions that tell listeners of mode switches and memory moves.

#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/notify/notification.hpp"
#include "core/store/names.hpp"
#include "notify/announce.hpp"
#include "notify/notification_rules.hpp"
#include "server/arguments.hpp"
#include "server/encoding.hpp"
#include "server/entry.hpp"
#include "server/lock_classes.hpp"
#include "server/settings.hpp"
#include "server/text.hpp"
#include "store/event_arguments.hpp"
#include "store/query.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

/*
 * What a channel tells, and which columns it takes it from. History rows (from, to) are told when they are inserted,
 * current-state rows when their state changes.
 */
struct TriggerChannel {
	const char *name;
	const char *function;
	const char *key_field;  // a second identifying field, or nullptr
	const char *from_field; // of the payload, and the history column
	const char *to_field;   // likewise
	const char *state_columns[3];
	const char *time_columns[3];
	const char *confidence_column; // or nullptr
};

constexpr TriggerChannel kModeSwitch = {"mode_switch",
                                        "events.notify_mode_switch",
                                        nullptr,
                                        "from_mode",
                                        "to_mode",
                                        {"current_mode", nullptr, nullptr},
                                        {"switch_timestamp", "updated_at", nullptr},
                                        "confidence_score"};
constexpr TriggerChannel kMemoryTier = {"memory_tier_change",
                                        "events.notify_memory_tier_change",
                                        "memory_key",
                                        "from_tier",
                                        "to_tier",
                                        {"current_tier", "tier", "memory_tier"},
                                        {"operation_timestamp", "updated_at", nullptr},
                                        nullptr};

// A column's value of a row, with the kind that JSON gives it.
struct Value {
	PayloadField::Kind kind = PayloadField::Kind::kNull;
	std::string text;

	bool
	operator==(const Value &other) const {
		return kind == other.kind && text == other.text;
	}
};

/*
 * One firing of a trigger: its table's columns under the names that the arguments give them.
 */
class TriggerCall {
  public:
	TriggerCall(const TriggerData *trigger, const TriggerChannel &channel) : trigger_(trigger), channel_(channel) {
		const TriggerEvent event = trigger->tg_event;
		if (!TRIGGER_FIRED_AFTER(event) || !TRIGGER_FIRED_FOR_ROW(event) || !(TRIGGER_FIRED_BY_INSERT(event) || TRIGGER_FIRED_BY_UPDATE(event))) {
			throw DomainError(sqlstate::kTriggerProtocol, std::string(channel.function) + " tells of rows after they were written",
			                  "Trigger \"" + std::string(trigger->tg_trigger->tgname) + "\" fires otherwise.",
			                  "Make the trigger AFTER INSERT OR UPDATE ... FOR EACH ROW.");
		}
		for (int i = 0; i < trigger->tg_trigger->tgnargs; i++) {
			AddRename(trigger->tg_trigger->tgargs[i]);
		}
	}

	void
	SendNotification() {
		const bool inserted = TRIGGER_FIRED_BY_INSERT(trigger_->tg_event);
		const HeapTuple row = inserted ? trigger_->tg_trigtuple : trigger_->tg_newtuple;
		const int user = Required({"user_id", nullptr, nullptr});
		const int key = channel_.key_field != nullptr ? Required({channel_.key_field, nullptr, nullptr}) : 0;
		const int from_column = Column(channel_.from_field);
		const int to_column = Column(channel_.to_field);
		const int state_column = FirstOf(channel_.state_columns);
		const bool history = from_column > 0 && to_column > 0;
		if (!history && state_column <= 0) {
			ThrowNoShape();
		}
		Value from;
		Value to;
		if (history) {
			if (!inserted) {
				return; // a corrected history row is not a switch
			}
			from = Read(row, from_column);
			to = RequiredValue(row, to_column);
		} else {
			if (inserted) {
				return; // a person's first state is not a switch
			}
			from = Read(trigger_->tg_trigtuple, state_column);
			if (from == Read(row, state_column)) {
				return;
			}
			to = RequiredValue(row, state_column);
		}
		std::vector<PayloadField> fields;
		AddIdentifying(&fields, "user_id", RequiredValue(row, user));
		if (key > 0) {
			AddIdentifying(&fields, channel_.key_field, RequiredValue(row, key));
		}
		Add(&fields, channel_.from_field, from);
		Add(&fields, channel_.to_field, to);
		if (channel_.confidence_column != nullptr) {
			const int confidence = Column(channel_.confidence_column);
			Add(&fields, "confidence", confidence > 0 ? Read(row, confidence) : Value());
		}
		const int time = FirstOf(channel_.time_columns);
		Add(&fields, "timestamp", time > 0 ? Read(row, time) : Now());
		Send(InServerEncoding(fields).c_str());
	}

  private:
	struct Rename {
		std::string key;
		std::string column;
	};

	// "key=column"
	void
	AddRename(const std::string &argument) {
		const std::size_t equals = argument.find('=');
		std::string keys = "user_id";
		std::vector<const char *> known = {"user_id",
		                                   channel_.key_field,
		                                   channel_.from_field,
		                                   channel_.to_field,
		                                   channel_.state_columns[0],
		                                   channel_.time_columns[0],
		                                   channel_.confidence_column};
		bool found = false;
		for (const char *key : known) {
			if (key == nullptr) {
				continue;
			}
			found |= equals != std::string::npos && argument.compare(0, equals, key) == 0 && std::string(key).size() == equals;
			if (std::string(key) != "user_id") {
				keys += std::string(", ") + key;
			}
		}
		if (!found || equals + 1 == argument.size()) {
			throw DomainError(sqlstate::kInvalidParameter, "trigger argument \"" + argument + "\" renames nothing",
			                  std::string(channel_.function) + " knows " + keys + ".", "Write it as 'key=column', such as 'user_id=person'.");
		}
		const Rename rename = {argument.substr(0, equals), argument.substr(equals + 1)};
		if (Attribute(rename.column.c_str()) <= 0) {
			ThrowMissing(rename.column);
		}
		renames_.push_back(rename);
	}

	int
	Attribute(const char *column) const {
		return SPI_fnumber(trigger_->tg_relation->rd_att, column);
	}

	// attribute number of a column by its default name, 0 or less when the table has none
	int
	Column(const char *name) const {
		for (const Rename &rename : renames_) {
			if (rename.key == name) {
				return Attribute(rename.column.c_str());
			}
		}
		return Attribute(name);
	}

	int
	FirstOf(const char *const (&names)[3]) const {
		for (const char *name : names) {
			if (name != nullptr && Column(name) > 0) {
				return Column(name);
			}
		}
		return 0;
	}

	int
	Required(const char *const (&names)[3]) const {
		const int column = FirstOf(names);
		if (column <= 0) {
			ThrowMissing(names[0]);
		}
		return column;
	}

	Value
	Read(HeapTuple row, int attribute) const {
		struct Out {
			bool isnull;
			Oid type;
			const char *text;
		};
		const Out out = Call([&](Server server) {
			Out o;
			TupleDesc descriptor = trigger_->tg_relation->rd_att;
			const Datum datum = heap_getattr(row, attribute, descriptor, &o.isnull);
			o.type = getBaseType(TupleDescAttr(descriptor, attribute - 1)->atttypid);
			o.text = nullptr;
			if (!o.isnull) {
				o.text = TextForm(server, datum, o.type);
			}
			return o;
		});
		Value value;
		if (out.isnull) {
			return value;
		}
		value.text = pg::ToUtf8(out.text);
		value.kind = PayloadField::Kind::kText;
		switch (out.type) {
		case BOOLOID:
			value.kind = PayloadField::Kind::kLiteral;
			value.text = value.text == "t" ? "true" : "false";
			break;
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			if (IsJsonNumber(value.text)) {
				value.kind = PayloadField::Kind::kLiteral;
			}
			break;
		default:
			break;
		}
		return value;
	}

	// As to_json writes it: times in ISO 8601, whatever DateStyle says.
	static const char *
	TextForm(Server, Datum datum, Oid type) {
		if (type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID) {
			return JsonEncodeDateTime(static_cast<char *>(palloc(MAXDATELEN + 1)), datum, type, nullptr);
		}
		Oid output;
		bool is_varlena;
		getTypeOutputInfo(type, &output, &is_varlena);
		return OidOutputFunctionCall(output, datum);
	}

	Value
	Now() const {
		const char *text =
			Call([](Server server) { return TextForm(server, TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()), TIMESTAMPTZOID); });
		Value value;
		value.kind = PayloadField::Kind::kText;
		value.text = text;
		return value;
	}

	Value
	RequiredValue(HeapTuple row, int attribute) const {
		Value value = Read(row, attribute);
		if (value.kind == PayloadField::Kind::kNull) {
			const std::string column = NameStr(TupleDescAttr(trigger_->tg_relation->rd_att, attribute - 1)->attname);
			throw DomainError("23502", "column \"" + column + "\" of a row to be told on channel " + channel_.name + " is NULL",
			                  Where() + " needs a value there: listeners could not tell what happened to whom.",
			                  "Declare the column NOT NULL, or give the trigger a WHEN condition.");
		}
		return value;
	}

	std::string
	Where() const {
		return "Trigger \"" + std::string(trigger_->tg_trigger->tgname) + "\" on table \"" + RelationGetRelationName(trigger_->tg_relation) + "\"";
	}

	[[noreturn]] void
	ThrowMissing(const std::string &column) const {
		throw DomainError(sqlstate::kUndefinedColumn,
		                  "table \"" + std::string(RelationGetRelationName(trigger_->tg_relation)) + "\" has no column \"" + column + "\"",
		                  Where() + " calls " + channel_.function + ", which needs it.",
		                  "Name your column in the trigger's arguments, such as 'user_id=person'.");
	}

	[[noreturn]] void
	ThrowNoShape() const {
		throw DomainError(sqlstate::kUndefinedColumn,
		                  "table \"" + std::string(RelationGetRelationName(trigger_->tg_relation)) + "\" has neither history nor state columns",
		                  Where() + " calls " + channel_.function + ", which needs " + channel_.from_field + " and " + channel_.to_field + ", or " +
		                      channel_.state_columns[0] + ".",
		                  "Name your columns in the trigger's arguments, such as '" + std::string(channel_.to_field) + "=new_state'.");
	}

	static void
	Add(std::vector<PayloadField> *fields, const char *name, const Value &value) {
		fields->push_back({name, value.kind, value.text, false});
	}

	// A field that stays in a payload which is truncated.
	static void
	AddIdentifying(std::vector<PayloadField> *fields, const char *name, const Value &value) {
		fields->push_back({name, value.kind, value.text, true});
	}

	// The limit is one of bytes as the server keeps them: in some encodings a text has more of them than in UTF-8.
	static std::string
	InServerEncoding(const std::vector<PayloadField> &fields) {
		for (std::size_t limit = kMaxPayloadBytes;; limit /= 2) {
			const std::string payload = ComposePayload(fields, limit);
			std::string converted = pg::FromUtf8(payload);
			if (converted.size() <= kMaxPayloadBytes) {
				return converted;
			}
		}
	}

	void
	Send(const char *payload) const {
		const char *channel = channel_.name;
		Call([&](Server server) { pg::NotifyUnlessFull(server, channel, payload); });
	}

	const TriggerData *trigger_;
	const TriggerChannel &channel_;
	std::vector<Rename> renames_;
};

Datum
NotifyChannel(FunctionCallInfo fcinfo, const TriggerChannel &channel) {
	if (!CALLED_AS_TRIGGER(fcinfo)) {
		throw DomainError(sqlstate::kTriggerProtocol, std::string(channel.function) + " is a trigger function",
		                  "It was called as an ordinary function.", "Use it in CREATE TRIGGER.");
	}
	TriggerCall(reinterpret_cast<const TriggerData *>(fcinfo->context), channel).SendNotification();
	return PointerGetDatum(nullptr);
}

} // namespace

AUREN_FUNCTION(auren_notify_mode_switch) {
	return NotifyChannel(fcinfo, kModeSwitch);
}

AUREN_FUNCTION(auren_notify_memory_tier_change) {
	return NotifyChannel(fcinfo, kMemoryTier);
}

namespace {

// The rule of a channel as the arguments name it: tenant, channel, event type and category, '' where all are meant.
void
RuleArguments(FunctionCallInfo fcinfo, Datum *values) {
	if (PG_ARGISNULL(1)) {
		throw DomainError(sqlstate::kNullNotAllowed, "p_channel must not be NULL", "A rule announces events on a channel.",
		                  "Name it after the event type: events.add_notification_rule('mode_switched', 'my_channel'), or NULL for all types.");
	}
	const pg::Text channel = pg::TextArgument(fcinfo, 1, "p_channel");
	if (channel.name.bytes.empty() || channel.name.bytes.size() >= NAMEDATALEN) {
		throw DomainError(sqlstate::kInvalidParameter, "p_channel is not the name of a channel",
		                  "It has " + std::to_string(channel.name.bytes.size()) + " bytes.",
		                  "Give a name of 1 to " + std::to_string(NAMEDATALEN - 1) + " bytes, as LISTEN takes it.");
	}
	const auto type = pg::OptionalTextArgument(fcinfo, 0);
	if (type) {
		CheckEventType(type->name);
	}
	const Datum all = Call([] { return PointerGetDatum(cstring_to_text("")); });
	values[0] = pg::CurrentTenant().text;
	values[1] = channel.datum;
	values[2] = type ? type->datum : all;
	values[3] = PG_ARGISNULL(2) ? all : CategoryArgument(fcinfo, 2).datum;
}

uint64
ChangeRules(const char *sql, Datum *values) {
	Oid types[4] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	return Call([&](Server server) {
		PreventCommandIfReadOnly("a change of the notification rules");
		return pg::ExecuteAsStore(server, sql, 4, types, values, nullptr);
	});
}

/*
 * One adder of a tenant's rules at a time, to the end of its transaction, so that none of them counts without the other's. Other tenants' and whoever
 * drops rules wait for nobody.
 */
void
LockRulesOf(std::string_view tenant) {
	Call([&] {
		const uint32 hash = hash_bytes(reinterpret_cast<const unsigned char *>(tenant.data()), static_cast<int>(tenant.size()));
		LOCKTAG tag;
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, hash, 0, pg::kRuleLockClass);
		(void)LockAcquire(&tag, ExclusiveLock, false, false);
		AcceptInvalidationMessages();
	});
}

// Every session that appends keeps a tenant's rules in memory, and the tenant's appends look through them.
void
RequireAnotherRuleAllowed(const Datum *values) {
	const auto text = [&](int column) {
		return pg::TextBytes(values[column]);
	};
	const std::string_view tenant = text(0);
	LockRulesOf(tenant);
	const auto rules = pg::NotificationRules();
	const std::size_t count = rules->CountOf(tenant);
	const auto most = static_cast<std::size_t>(pg::MaxNotificationRules());
	if (count < most || rules->Has(tenant, text(2), {std::string(text(1)), std::string(text(3))})) {
		return;
	}
	throw DomainError("53400", "tenant \"" + std::string(tenant) + "\" has no room for another notification rule",
	                  "It has " + std::to_string(count) + " rules, and auren_events.max_notification_rules allows " + std::to_string(most) + ".",
	                  "Drop rules that nobody listens to (events.notification_rules lists them), let several types share a channel, or have a "
	                  "superuser raise the setting.");
}

} // namespace

AUREN_FUNCTION(auren_add_notification_rule) {
	Datum values[4];
	RuleArguments(fcinfo, values);
	RequireAnotherRuleAllowed(values);
	(void)ChangeRules("INSERT INTO auren.declared_notification_rules (tenant_id, channel, event_type, category) VALUES ($1, $2, $3, $4) "
	                  "ON CONFLICT DO NOTHING",
	                  values);
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_drop_notification_rule) {
	Datum values[4];
	RuleArguments(fcinfo, values);
	const uint64 rows = ChangeRules("DELETE FROM auren.declared_notification_rules WHERE tenant_id OPERATOR(pg_catalog.=) $1 AND channel "
	                                "OPERATOR(pg_catalog.=) $2 AND event_type OPERATOR(pg_catalog.=) $3 AND category OPERATOR(pg_catalog.=) $4",
	                                values);
	if (rows == 0) {
		throw DomainError(sqlstate::kUndefinedObject, "there is no such notification rule",
		                  "None of this session's tenant has that channel, event type and category.", "events.notification_rules lists them.");
	}
	PG_RETURN_VOID();
}

} // namespace auren
