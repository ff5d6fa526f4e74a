#include <cstddef>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/store/names.hpp"
#include "unit/expect_error.hpp"

namespace auren {
namespace {

using test::Contains;
using test::ErrorOf;
using test::ExpectError;

struct Kind {
	const char *what; // as messages call it
	void (*check)(const Name &);
	std::size_t limit; // of DESIGN.md section 2
};

const Kind kKinds[] = {
	{"stream id", CheckStreamId, 255},         {"event type", CheckEventType, 100},
	{"tenant id", CheckTenantId, 255},         {"subscription name", CheckSubscriptionName, 255},
	{"consumer name", CheckConsumerName, 255},
};

// a name of one byte a character
Name
Ascii(const std::string &text) {
	return {text, text.size()};
}

std::string
Repeat(const std::string &part, std::size_t times) {
	std::string text;
	for (std::size_t i = 0; i < times; i++) {
		text += part;
	}
	return text;
}

std::string
DetailOf(const Kind &kind, const std::string &text) {
	const auto error = ExpectError("22023", [&] { kind.check(Ascii(text)); });
	EXPECT_TRUE(Contains(error.message(), kind.what)) << error.message();
	EXPECT_FALSE(error.hint().empty());
	return error.detail();
}

TEST(Names, LimitsAreThoseOfTheContract) {
	EXPECT_EQ(kMaxStreamIdCharacters, 255u);
	EXPECT_EQ(kMaxEventTypeCharacters, 100u);
	EXPECT_EQ(kMaxCreatedByCharacters, 255u);
	EXPECT_EQ(kMaxTenantIdCharacters, 255u);
}

TEST(Names, AreTakenUpToTheLimit) {
	for (const Kind &kind : kKinds) {
		SCOPED_TRACE(kind.what);
		for (const std::size_t length : {std::size_t{1}, std::size_t{2}, kind.limit - 1, kind.limit}) {
			const std::string text(length, 'x');
			EXPECT_FALSE(ErrorOf([&] { kind.check(Ascii(text)); })) << length;
		}
	}
}

TEST(Names, AreRefusedAboveTheLimit) {
	for (const Kind &kind : kKinds) {
		SCOPED_TRACE(kind.what);
		for (const std::size_t length : {kind.limit + 1, kind.limit + 2, std::size_t{100'000}}) {
			const std::string detail = DetailOf(kind, std::string(length, 'x'));
			EXPECT_TRUE(Contains(detail, std::to_string(length) + " characters")) << detail;
			EXPECT_TRUE(Contains(detail, std::to_string(kind.limit))) << detail;
		}
	}
}

// A limit of characters must not become one of bytes, in either direction.
TEST(Names, AreMeasuredInCharacters) {
	for (const Kind &kind : kKinds) {
		SCOPED_TRACE(kind.what);
		const std::string wide = Repeat("\xF0\x9F\x92\x93", kind.limit); // a beating heart: four bytes
		EXPECT_FALSE(ErrorOf([&] { kind.check({wide, kind.limit}); }));
		const std::string wider = Repeat("\xF0\x9F\x92\x93", kind.limit + 1);
		const auto error = ExpectError("22023", [&] { kind.check({wider, kind.limit + 1}); });
		EXPECT_TRUE(Contains(error.detail(), std::to_string(kind.limit + 1) + " characters")) << error.detail();
	}
}

TEST(Names, MustNotBeEmpty) {
	for (const Kind &kind : kKinds) {
		SCOPED_TRACE(kind.what);
		const auto error = ExpectError("22023", [&] { kind.check({"", 0}); });
		EXPECT_TRUE(Contains(error.message(), kind.what)) << error.message();
		EXPECT_TRUE(Contains(error.message(), "empty")) << error.message();
		EXPECT_TRUE(Contains(error.hint(), std::to_string(kind.limit))) << error.hint();
	}
}

TEST(Names, HaveNoControlCharacterAnywhere) {
	std::vector<char> controls;
	for (int c = 0; c < 32; c++) {
		controls.push_back(static_cast<char>(c));
	}
	controls.push_back('\x7F');
	for (const Kind &kind : kKinds) {
		for (const char control : controls) {
			SCOPED_TRACE(std::string(kind.what) + ", byte " + std::to_string(control));
			for (const std::size_t at : {0, 1, 2}) {
				std::string text = "ab";
				text.insert(at, 1, control);
				const auto error = ExpectError("22023", [&] { kind.check(Ascii(text)); });
				EXPECT_TRUE(Contains(error.message(), "control character")) << error.message();
			}
		}
	}
}

TEST(Names, MayHoldEveryOtherByte) {
	for (const Kind &kind : kKinds) {
		for (int c = 32; c < 256; c++) {
			if (c != 0x7F) {
				const std::string text = std::string("a") + static_cast<char>(c) + "b";
				EXPECT_FALSE(ErrorOf([&] { kind.check(Ascii(text)); })) << kind.what << ", byte " << c;
			}
		}
	}
}

TEST(Names, DoNotBeginOrEndWithABlank) {
	for (const Kind &kind : kKinds) {
		for (const char *text : {" ", "  ", " user:1", "user:1 ", " user:1 "}) {
			const std::string detail = DetailOf(kind, text);
			EXPECT_TRUE(Contains(detail, "\"" + std::string(text) + "\"")) << detail;
		}
		EXPECT_FALSE(ErrorOf([&] { kind.check(Ascii("the user 1")); })) << kind.what;
	}
}

TEST(CreatedBy, IsProse) {
	for (const char *text : {"", " ", " Dr. Who ", "two\nlines\tand a tab", "\x7F"}) {
		EXPECT_FALSE(ErrorOf([&] { CheckCreatedBy(Ascii(text)); })) << text;
	}
}

TEST(CreatedBy, IsLimitedInCharacters) {
	EXPECT_FALSE(ErrorOf([] { CheckCreatedBy({std::string(255, 'x'), 255}); }));
	EXPECT_FALSE(ErrorOf([] { CheckCreatedBy({std::string(1020, '\x80'), 255}); }));
	const auto error = ExpectError("22023", [] { CheckCreatedBy({std::string(256, 'x'), 256}); });
	EXPECT_TRUE(Contains(error.message(), "created_by")) << error.message();
	EXPECT_TRUE(Contains(error.detail(), "256 characters")) << error.detail();
	EXPECT_TRUE(Contains(error.detail(), "255")) << error.detail();
}

TEST(Category, EndsAtTheFirstColon) {
	EXPECT_EQ(Category("user:42"), "user");
	EXPECT_EQ(Category("user:42:device:7"), "user");
	EXPECT_EQ(Category("user"), "user");
	EXPECT_EQ(Category("user:"), "user");
	EXPECT_EQ(Category(":42"), "");
	EXPECT_EQ(Category(""), "");
}

TEST(Naming, TakesEventTypesInSnakeCase) {
	for (const char *type : {"device_connected", "biometric_received", "a", "ab", "a1", "mode_switch_2", "v2_reading", "a_1_b"}) {
		EXPECT_EQ(NamingFlawOfEventType(type), "") << type;
	}
}

TEST(Naming, FindsEventTypesThatAreNot) {
	for (const char *type :
	     {"", "DeviceConnected", "deviceConnected", "device-connected", "device connected", "device.connected", "device:connected", "_device",
	      "device_", "_", "device__connected", "1device", "ger\xC3\xA4t_verbunden", "DEVICE_CONNECTED", "device_connecteD", "`", "{", "a/b"}) {
		const std::string flaw = NamingFlawOfEventType(type);
		EXPECT_TRUE(Contains(flaw, "\"" + std::string(type) + "\"")) << type << ": " << flaw;
		EXPECT_TRUE(Contains(flaw, "vent type")) << flaw;
	}
}

TEST(Naming, TakesStreamIdsWithAPrefix) {
	for (const char *id :
	     {"user:123", "user:a", "user_session:2026-11-24", "a:b", "user:Any thing: after the colon", "user::", "device2:x", "user: 1"}) {
		EXPECT_EQ(NamingFlawOfStreamId(id), "") << id;
	}
}

TEST(Naming, FindsStreamIdsWithout) {
	for (const char *id : {"", "user", "user123", ":123", "user:", "User:123", "user-session:1", "user session:1", "_user:1", "user_:1", "us__er:1",
	                       "1user:1", ":", "::", "user 1:2"}) {
		const std::string flaw = NamingFlawOfStreamId(id);
		EXPECT_TRUE(Contains(flaw, "\"" + std::string(id) + "\"")) << id << ": " << flaw;
		EXPECT_TRUE(Contains(flaw, "tream id")) << flaw;
	}
}

} // namespace
} // namespace auren
