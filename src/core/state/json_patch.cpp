#include "core/state/json_patch.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/encrypted/envelope.hpp"
#include "core/error.hpp"
#include "core/json/json_equal.hpp"
#include "core/json/json_pointer.hpp"
#include "core/json/json_target.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

using Kind = Json::Kind;

// ---- limits ---------------------------------------------------------------------------------------------------------

// Whether a value is nested no deeper than `levels`; *bytes grows by what a copy of it takes. A document is one level,
// since nobody walks into it.
bool
Measure(const Json &value, std::size_t levels, std::size_t *bytes) {
	*bytes += sizeof(Json);
	switch (value.kind()) {
	case Kind::kNull:
	case Kind::kBool:
		return true;
	case Kind::kNumber:
		*bytes += value.number().bytes.size();
		return true;
	case Kind::kString:
		*bytes += value.string().size();
		return true;
	case Kind::kDocument:
		*bytes += value.document().bytes.size();
		return true;
	case Kind::kArray:
		return levels > 0 &&
		       std::all_of(value.array().begin(), value.array().end(), [=](const Json &element) { return Measure(element, levels - 1, bytes); });
	case Kind::kObject:
		return levels > 0 && std::all_of(value.object().begin(), value.object().end(), [=](const auto &member) {
				   *bytes += sizeof(member) - sizeof(Json) + member.first.size();
				   return Measure(member.second, levels - 1, bytes);
			   });
	}
	return true;
}

// Refuses to put a value where it would be nested too deep; gives the bytes that a copy of it takes.
std::size_t
CheckDepth(const JsonPointer &path, const Json &value) {
	std::size_t bytes = 0;
	const std::size_t above = path.tokens.size();
	if (above > kMaxPatchDepth || !Measure(value, kMaxPatchDepth - above, &bytes)) {
		ThrowBadPatch("patch nests too deep", "A patch may put no value deeper than " + std::to_string(kMaxPatchDepth) + " levels below the root.",
		              "Keep the value less deep.");
	}
	return bytes;
}

// ---- the operations -------------------------------------------------------------------------------------------------

enum class Op : std::uint8_t { kAdd, kRemove, kReplace, kMove, kCopy, kTest };

struct OpName {
	std::string_view name;
	Op op;
};
constexpr OpName kOps[] = {{"add", Op::kAdd},   {"remove", Op::kRemove}, {"replace", Op::kReplace},
                           {"move", Op::kMove}, {"copy", Op::kCopy},     {"test", Op::kTest}};

// One operation of a patch; what its members hold is read when it is asked for.
class Operation {
  public:
	Operation(const Json &operation, const JsonHost &host) : value_(Expanded(operation, &storage_, host)), host_(host) {
	}
	Operation(const Operation &) = delete;
	Operation &operator=(const Operation &) = delete;

	Op op() const;
	JsonPointer
	Pointer(const char *name) const {
		return ParsePointer(Text(name));
	}
	const Json &value() const;
	// What is known of it, for an error's detail.
	std::string Description() const;

  private:
	const Json *Member(const char *name) const;
	std::string Text(const char *name) const;
	// A member's text in quotes, or that it is encrypted; nothing when it has none.
	std::string Quoted(const char *name) const;

	Json storage_;
	const Json &value_;
	const JsonHost &host_;
};

const Json *
Operation::Member(const char *name) const {
	const auto member = value_.object().find(name);
	return member == value_.object().end() ? nullptr : &member->second;
}

std::string
Operation::Text(const char *name) const {
	const std::string quoted = std::string("\"") + name + "\"";
	const Json *member = Member(name);
	if (member == nullptr) {
		ThrowBadPatch("operation has no " + quoted, "The member " + quoted + " is missing.");
	}
	Json storage;
	const Json &text = Expanded(*member, &storage, host_);
	if (!text.is(Kind::kString)) {
		ThrowBadPatch(quoted + " of an operation is not a string", std::string("It is ") + KindText(text.kind()) + ".");
	}
	return text.string();
}

Op
Operation::op() const {
	if (!value_.is(Kind::kObject)) {
		ThrowBadPatch("operation of the patch is not an object", std::string("It is ") + KindText(value_.kind()) + ".",
		              "Write each operation as {\"op\": ..., \"path\": ...}.");
	}
	const std::string name = Text("op");
	for (const OpName &known : kOps) {
		if (known.name == name) {
			return known.op;
		}
	}
	ThrowBadPatch("unknown operation " + QuotedPointer(name), "No operation of a JSON Patch has this name.",
	              "Use add, remove, replace, move, copy or test.");
}

const Json &
Operation::value() const {
	const Json *value = Member("value");
	if (value == nullptr) {
		ThrowBadPatch("operation has no \"value\"", "The member \"value\" is missing.", "Give null as \"value\": null.");
	}
	return *value;
}

std::string
Operation::Quoted(const char *name) const {
	const Json *member = Member(name);
	if (member == nullptr) {
		return {};
	}
	Json storage;
	const Json &text = Expanded(*member, &storage, host_);
	if (!text.is(Kind::kString)) {
		return {};
	}
	return LooksLikeEnvelope(text.string()) ? "(encrypted)" : QuotedPointer(text.string());
}

std::string
Operation::Description() const {
	if (!value_.is(Kind::kObject)) {
		return value_.is(Kind::kString) && LooksLikeEnvelope(value_.string()) ? "encrypted" : KindText(value_.kind());
	}
	const std::string op = Quoted("op");
	const std::string from = Quoted("from");
	const std::string path = Quoted("path");
	return (op.empty() ? "without an op" : op) + (from.empty() ? "" : " from " + from) + (path.empty() ? " without a path" : " at " + path);
}

// Applies one after the other to the target.
class Application {
  public:
	Application(Json *target, const JsonHost &host) : target_(target, host), host_(host) {
	}
	void Apply(const Operation &operation);
	void
	Keep() noexcept {
		target_.Keep();
	}

  private:
	void Add(const JsonPointer &path, const Json &value);
	void Replace(const JsonPointer &path, const Json &value);
	void Move(const JsonPointer &from, const JsonPointer &path);
	void Copy(const JsonPointer &from, const JsonPointer &path);
	void Test(const JsonPointer &path, const Json &value);

	PatchTarget target_;
	const JsonHost &host_;
	std::size_t copied_ = 0; // bytes
};

void
Application::Apply(const Operation &operation) {
	const Op op = operation.op();
	const JsonPointer path = operation.Pointer("path");
	switch (op) {
	case Op::kAdd:
		return Add(path, operation.value());
	case Op::kRemove:
		return target_.Remove(path);
	case Op::kReplace:
		return Replace(path, operation.value());
	case Op::kMove:
		return Move(operation.Pointer("from"), path);
	case Op::kCopy:
		return Copy(operation.Pointer("from"), path);
	case Op::kTest:
		return Test(path, operation.value());
	}
}

void
Application::Add(const JsonPointer &path, const Json &value) {
	CheckDepth(path, value);
	Json copy = value;
	target_.Add(path, &copy);
}

void
Application::Replace(const JsonPointer &path, const Json &value) {
	CheckDepth(path, value);
	Json copy = value;
	target_.Replace(path, &copy);
}

void
Application::Move(const JsonPointer &from, const JsonPointer &path) {
	if (from.tokens.size() < path.tokens.size()) {
		if (std::equal(from.tokens.begin(), from.tokens.end(), path.tokens.begin())) {
			ThrowBadPatch("value cannot be moved into itself",
			              QuotedPointer(PointerText(path)) + " is inside of " + Place(from, from.tokens.size()) + ".",
			              "Copy it, or move it to a place outside of it.");
		}
		CheckDepth(path, target_.Get(from));
	}
	target_.Move(from, path);
}

void
Application::Copy(const JsonPointer &from, const JsonPointer &path) {
	const Json &source = target_.Get(from);
	copied_ += CheckDepth(path, source);
	if (copied_ > kMaxPatchCopies) {
		ThrowBadPatch("patch copies too much", "The copies of a patch may take up to " + std::to_string(kMaxPatchCopies >> 20) + " MB of memory.",
		              "Copy less in one patch.");
	}
	Json copy = source;
	target_.Add(path, &copy);
}

void
Application::Test(const JsonPointer &path, const Json &value) {
	if (!Equal(target_.Get(path), value, host_)) {
		ThrowBadPatch("test failed: the target has another value at " + Place(path, path.tokens.size()),
		              "The value there differs from the one that the patch expects.");
	}
}

std::string
Sentence(std::size_t number, const Operation &operation) {
	return "Operation " + std::to_string(number) + " is " + operation.Description() + ".";
}

} // namespace

std::string
DescribeOperation(const Json &patch, std::size_t number, const JsonHost &host) {
	Json storage;
	const Json &operations = Expanded(patch, &storage, host);
	if (!operations.is(Kind::kArray) || number >= operations.array().size()) {
		return "The patch is encrypted.";
	}
	return Sentence(number, Operation(operations.array()[number], host));
}

void
ApplyPatch(Json *target, const Json &patch, const JsonHost &host) {
	Json storage;
	const Json &operations = Expanded(patch, &storage, host);
	if (!operations.is(Kind::kArray)) {
		ThrowBadPatch("JSON patch is not an array", std::string("It is ") + KindText(operations.kind()) + ".",
		              "Write the operations as an array, even a single one.");
	}
	Application application(target, host);
	std::size_t number = 0;
	for (const Json &element : operations.array()) {
		const Operation operation(element, host);
		try {
			application.Apply(operation);
		} catch (const DomainError &error) {
			throw PatchError(error, error.detail() + " " + Sentence(number, operation), number);
		}
		number++;
	}
	application.Keep();
}

} // namespace auren
