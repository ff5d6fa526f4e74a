#include "imports/import_source.hpp"

#include <algorithm>
#include <vector>

#include "core/error.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

constexpr const char *kHandWritten = "hand-written";
constexpr const char *kMessageDb = "message-db";
constexpr const char *kMarten = "Marten";
constexpr const char *kViewHint = "Make a view over it with the columns of a kind that doc/moving-in.md describes, and import that.";

struct RawColumn {
	char name[NAMEDATALEN];
	Oid type; // without its domains
};
struct RawColumns {
	const char *relation; // quoted, nullptr: there is none
	const RawColumn *columns;
	int count;
	bool own; // the store's
};

// The right to read some of the columns at least; the query looks for the others.
void
RequireSelect(Server, Relation relation) {
	const Oid relid = RelationGetRelid(relation);
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
	    pg_attribute_aclcheck_all(relid, GetUserId(), ACL_SELECT, ACLMASK_ANY) != ACLCHECK_OK) {
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(relation->rd_rel->relkind), RelationGetRelationName(relation));
	}
}

RawColumns
ReadColumns(Server server, Oid relid) {
	Relation relation = try_relation_open(relid, AccessShareLock);
	if (relation == nullptr) {
		return {nullptr, nullptr, 0, false};
	}
	RequireSelect(server, relation);
	TupleDesc descriptor = RelationGetDescr(relation);
	auto *columns = static_cast<RawColumn *>(palloc0(sizeof(RawColumn) * static_cast<Size>(descriptor->natts + 1)));
	int count = 0;
	for (int i = 0; i < descriptor->natts; i++) {
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		if (!attribute->attisdropped) {
			strlcpy(columns[count].name, NameStr(attribute->attname), NAMEDATALEN);
			columns[count++].type = getBaseType(attribute->atttypid);
		}
	}
	const char *name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)), RelationGetRelationName(relation));
	const Oid parent = relation->rd_rel->relispartition ? get_partition_parent(relid, true) : InvalidOid;
	const Oid events = own::events.Get(server);
	relation_close(relation, NoLock);
	return {name, columns, count, relid == events || parent == events};
}

class Columns {
  public:
	Columns(std::string relation, const RawColumns &raw) : relation_(std::move(relation)), columns_(raw.columns, raw.columns + raw.count) {
	}

	bool
	Have(const char *name) const {
		return Find(name) != nullptr;
	}
	bool
	HaveAll(const std::vector<const char *> &names) const {
		return std::all_of(names.begin(), names.end(), [this](const char *name) { return Have(name); });
	}
	std::string
	Text(const char *name) const {
		return Have(name) ? Quoted(name) + "::text" : "NULL::text";
	}
	std::string
	Number(const char *name) const {
		Require(name, {INT2OID, INT4OID, INT8OID, NUMERICOID}, "a whole number");
		return Quoted(name) + "::bigint";
	}
	std::string
	Id(const char *name) const {
		Require(name, {UUIDOID, TEXTOID, VARCHAROID}, "uuid");
		return Quoted(name) + "::uuid";
	}
	std::string
	Json(const char *name) const {
		if (!Have(name)) {
			return "NULL::jsonb";
		}
		Require(name, {JSONBOID, JSONOID, TEXTOID, VARCHAROID}, "jsonb or json");
		return Quoted(name) + "::jsonb";
	}
	// A time without a zone is taken for UTC.
	std::string
	Time(const char *name) const {
		const Oid type = Require(name, {TIMESTAMPTZOID, TIMESTAMPOID}, "timestamptz or timestamp");
		return type == TIMESTAMPTZOID ? Quoted(name) + "::timestamptz" : "(" + Quoted(name) + "::timestamp AT TIME ZONE 'UTC')";
	}
	std::string
	Bool(const char *name) const {
		Require(name, {BOOLOID}, "boolean");
		return Quoted(name) + "::boolean";
	}

  private:
	const RawColumn *
	Find(const char *name) const {
		const auto found = std::find_if(columns_.begin(), columns_.end(), [&](const RawColumn &column) { return std::string(name) == column.name; });
		return found == columns_.end() ? nullptr : &*found;
	}
	static std::string
	Quoted(const char *name) {
		return "t.\"" + std::string(name) + "\"";
	}
	Oid
	Require(const char *name, const std::vector<Oid> &types, const char *wanted) const {
		const RawColumn *column = Find(name);
		if (column == nullptr) {
			throw DomainError(sqlstate::kUndefinedColumn, relation_ + " has no column \"" + name + "\"", "This kind of table has one.", kViewHint);
		}
		if (std::find(types.begin(), types.end(), column->type) == types.end()) {
			const Oid oid = column->type;
			const char *type = Call([&] { return static_cast<const char *>(format_type_be(oid)); });
			throw DomainError("42804", "column \"" + std::string(name) + "\" of " + relation_ + " has a type that cannot be imported",
			                  "It is of type " + std::string(type) + ", and has to be " + wanted + ".", kViewHint);
		}
		return column->type;
	}

	std::string relation_;
	std::vector<RawColumn> columns_;
};

// What each kind's table has, and no other's.
const std::vector<const char *> &
MarksOf(const std::string &kind) {
	static const std::vector<const char *> hand_written = {"event_id", "stream_id", "stream_version", "event_type", "event_data", "created_at"};
	static const std::vector<const char *> message_db = {"global_position", "position", "time", "stream_name", "type", "data", "id"};
	static const std::vector<const char *> marten = {"seq_id", "id", "stream_id", "version", "data", "type", "timestamp"};
	return kind == kHandWritten ? hand_written : kind == kMessageDb ? message_db : marten;
}

std::string
Recognise(const Columns &columns, const std::string &relation) {
	for (const char *kind : {kHandWritten, kMessageDb, kMarten}) {
		if (columns.HaveAll(MarksOf(kind))) {
			return kind;
		}
	}
	throw DomainError(sqlstate::kUndefinedColumn, relation + " is not a table of events that can be imported",
	                  "A hand-written one has event_id, stream_id, stream_version, event_type, event_data and created_at; message-db's has "
	                  "global_position, position, time, stream_name, type, data and id; Marten's has seq_id, id, stream_id, version, data, type and "
	                  "timestamp.",
	                  kViewHint);
}

std::string
KindOf(const Columns &columns, const std::string &relation, const std::optional<std::string> &given) {
	if (!given) {
		return Recognise(columns, relation);
	}
	for (const char *kind : {kHandWritten, kMessageDb, kMarten}) {
		if (*given == kind) {
			return kind;
		}
	}
	throw DomainError(sqlstate::kInvalidParameter, "p_kind is not a kind of store", "It is \"" + *given + "\".",
	                  "Give hand-written, message-db or Marten, or leave it out: the table is recognised by its columns.");
}

struct Select {
	std::string n, tenant, no_tenant, id, stream, version, type, data, no_data, metadata, time, creator;
};

Select
OfHandWritten(const Columns &columns) {
	Select select;
	select.n = "0::bigint";
	select.tenant = columns.Text("tenant_id");
	select.no_tenant = columns.Have("tenant_id") ? "t.\"tenant_id\" IS NULL" : "false";
	select.id = columns.Id("event_id");
	select.stream = columns.Text("stream_id");
	select.version = columns.Number("stream_version");
	select.type = columns.Text("event_type");
	select.data = columns.Json("event_data");
	select.no_data = "t.\"event_data\" IS NULL";
	select.metadata = columns.Json("metadata");
	select.time = columns.Time("created_at");
	select.creator = columns.Text("created_by");
	return select;
}

Select
OfMessageDb(const Columns &columns) {
	Select select;
	select.n = columns.Number("global_position");
	select.tenant = "NULL::text";
	select.no_tenant = "false";
	select.id = columns.Id("id");
	select.stream = columns.Text("stream_name");
	select.version = columns.Number("position") + " + 1";
	select.type = columns.Text("type");
	select.data = columns.Json("data");
	select.no_data = "false"; // its messages need none
	select.metadata = columns.Json("metadata");
	select.time = columns.Time("time");
	select.creator = "NULL::text";
	return select;
}

// What Marten knows beside, as far as the table has the columns.
std::string
MetadataOfMarten(const Columns &columns) {
	std::string members;
	for (const auto &[column, member] :
	     {std::pair("mt_dotnet_type", "dotnet_type"), std::pair("correlation_id", "correlation_id"), std::pair("causation_id", "causation_id")}) {
		if (columns.Have(column)) {
			members += (members.empty() ? "'" : ", '") + std::string(member) + "', " + columns.Text(column);
		}
	}
	if (columns.Have("is_archived")) {
		members += (members.empty() ? "" : ", ") + ("'archived', nullif(" + columns.Bool("is_archived") + ", false)");
	}
	std::string metadata = "jsonb_strip_nulls(jsonb_build_object(" + members + "))";
	if (columns.Have("headers")) {
		const std::string headers = columns.Json("headers");
		metadata += " || CASE WHEN " + headers + " IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('headers', " + headers + ") END";
	}
	return metadata;
}

Select
OfMarten(const Columns &columns) {
	Select select;
	select.n = columns.Number("seq_id");
	select.tenant = "nullif(" + columns.Text("tenant_id") + ", '*DEFAULT*')";
	select.no_tenant = "false";
	select.id = columns.Id("id");
	select.stream = columns.Text("stream_id");
	select.version = columns.Number("version");
	select.type = columns.Text("type");
	select.data = columns.Json("data");
	select.no_data = "t.\"data\" IS NULL";
	select.metadata = MetadataOfMarten(columns);
	select.time = columns.Time("timestamp");
	select.creator = columns.Text("user_name");
	return select;
}

std::string
TextOf(const Select &s, const std::string &relation) {
	return "SELECT " + s.n + " AS n, coalesce(" + s.tenant + ", $1) COLLATE \"C\" AS tenant_id, " + s.no_tenant + " AS no_tenant, " + s.id +
	       " AS old_id, " + s.stream + " COLLATE \"C\" AS stream_id, " + s.version + " AS old_version, " + s.type +
	       " COLLATE \"C\" AS event_type, coalesce(" + s.data + ", '{}') AS event_data, " + s.no_data + " AS no_data, coalesce(" + s.metadata +
	       ", '{}') AS metadata, " + s.time + " AS old_time, coalesce(" + s.creator + ", 'system') COLLATE \"C\" AS created_by FROM " + relation +
	       " AS t";
}

} // namespace

ImportSource
FindImportSource(Oid relid, const std::optional<std::string> &kind) {
	const RawColumns raw = Call([&](Server server) { return ReadColumns(server, relid); });
	if (raw.relation == nullptr) {
		throw DomainError("42P01", "p_table is not a table", "There is no relation " + std::to_string(relid) + ".", "Give the old table's name.");
	}
	ImportSource source;
	source.name = raw.relation;
	if (raw.own) {
		throw DomainError("42809", source.name + " is the store itself", "Events are imported into it.", "Give the old table's name.");
	}
	const Columns columns(source.name, raw);
	source.kind = KindOf(columns, source.name, kind);
	const Select select = source.kind == kHandWritten ? OfHandWritten(columns) : source.kind == kMessageDb ? OfMessageDb(columns) : OfMarten(columns);
	source.select = TextOf(select, source.name);
	return source;
}

} // namespace auren::pg
