#include <gtest/gtest.h>

#include "core/cloudevents/attributes.hpp"
#include "core/cloudevents/trace_context.hpp"
#include "core/cloudevents/uri.hpp"
#include "core/event_time.hpp"

namespace auren {
namespace {

TEST(Uri, References) {
	for (const char *text :
	     {"https://example.com/orders", "mailto:events@example.com", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66#default", "orders/pull/123",
	      "/sensors/tn-1234567/alerts", "1-555-123-4567", "//example.com", "?a=b/c?d", "#part", "a/b:c", "./1:2",
	      "http://[2001:db8::7]:80/c=GB?one#two", "ldap://user:word@host:389/", "x:", "file:///etc", "http://example.com:/", "a%20b", "."}) {
		EXPECT_TRUE(IsUriReference(text)) << text;
	}
	for (const char *text : {"",
	                         " ",
	                         "a b",
	                         "1:2",
	                         ":a",
	                         "a%2",
	                         "a%zz",
	                         "a#b#c",
	                         "http://[::1",
	                         "http://[1]/",
	                         "http://a:b:80/",
	                         "http://host:8a/",
	                         "a\nb",
	                         "\xC3\xA4",
	                         "a\"b",
	                         "<a>",
	                         "a\\b",
	                         "a^b",
	                         "{a}",
	                         "a|b",
	                         "a`b",
	                         "http://[::1]a/",
	                         "//[",
	                         "[a]"}) {
		EXPECT_FALSE(IsUriReference(text)) << text;
	}
}

TEST(Uri, WithASchemeOnly) {
	for (const char *text : {"https://example.com/orders", "urn:uuid:x", "x:", "a+b-c.1:d"}) {
		EXPECT_TRUE(IsUri(text)) << text;
	}
	for (const char *text : {"", "orders", "/orders", "//example.com", "1:a", "a_b:c", "?a:b", "#a:b"}) {
		EXPECT_FALSE(IsUri(text)) << text;
	}
}

TEST(Uri, EncodedIsAReferenceWhateverTheText) {
	EXPECT_EQ(PercentEncoded("a-Z_0.9~"), "a-Z_0.9~");
	EXPECT_EQ(PercentEncoded("a b/\xC3\xA4#%"), "a%20b%2F%C3%A4%23%25");
	for (int byte = 0; byte < 256; byte++) {
		const std::string text = "x:#" + PercentEncoded(std::string(1, static_cast<char>(byte)));
		EXPECT_TRUE(IsUri(text)) << text;
	}
}

TEST(TraceContext, Parents) {
	const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	EXPECT_TRUE(IsTraceParent(good));
	EXPECT_TRUE(IsTraceParent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
	EXPECT_TRUE(IsTraceParent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what.comes"));
	for (std::size_t i = 0; i < good.size(); i++) {
		std::string changed = good;
		changed[i] = 'G';
		EXPECT_FALSE(IsTraceParent(changed)) << changed;
		EXPECT_FALSE(IsTraceParent(good.substr(0, i))) << good.substr(0, i);
	}
	for (const char *text :
	     {"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01",
	      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
	      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ", "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
	      "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-a b", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"}) {
		EXPECT_FALSE(IsTraceParent(text)) << text;
	}
}

TEST(TraceContext, States) {
	for (const char *text :
	     {"rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE,rojo=1", " a=1 ,\tb=2", "a=1,,b=2", "tenant@system=x", "0a@b=x", "a_-*/=!~"}) {
		EXPECT_TRUE(IsTraceState(text)) << text;
	}
	for (const char *text :
	     {"", ",", "a", "A=1", "a=", "=1", "a=b=c", "a=\xC3\xA4", "@b=1", "a@=1", "a@1=1", "a@b@c=1", "a=1;b=2\n", "a b=1", "a@fifteencharacte=1"}) {
		EXPECT_FALSE(IsTraceState(text)) << text;
	}
	std::string members = "k0=v";
	for (int i = 1; i < 32; i++) {
		members += ",k" + std::to_string(i) + "=v";
	}
	EXPECT_TRUE(IsTraceState(members));
	EXPECT_FALSE(IsTraceState(members + ",k=v"));
	EXPECT_TRUE(IsTraceState("a=" + std::string(256, 'x')));
	EXPECT_FALSE(IsTraceState("a=" + std::string(257, 'x')));
	EXPECT_FALSE(IsTraceState("a=" + std::string(255, 'x') + ",b=" + std::string(255, 'x')));
}

TEST(CloudEvent, TimesAreReadAsWritten) {
	EXPECT_EQ(*CloudEventTime(0), "2000-01-01T00:00:00.000000Z");
	EXPECT_EQ(*CloudEventTime(-1), "1999-12-31T23:59:59.999999Z");
	EXPECT_EQ(*CloudEventTime(*ParseEventTime("2024-02-29T12:34:56.000078Z")), "2024-02-29T12:34:56.000078Z");
	const std::int64_t first = *ParseEventTime("0001-01-01T00:00:00Z");
	const std::int64_t last = *ParseEventTime("9999-12-31T23:59:59.999999Z");
	EXPECT_EQ(*CloudEventTime(first), "0001-01-01T00:00:00.000000Z");
	EXPECT_EQ(*CloudEventTime(last), "9999-12-31T23:59:59.999999Z");
	EXPECT_FALSE(CloudEventTime(first - 1));
	EXPECT_FALSE(CloudEventTime(last + 1));
	EXPECT_FALSE(CloudEventTime(INT64_MIN));
	EXPECT_FALSE(CloudEventTime(INT64_MAX));
	// every day of four centuries, and odd times beyond
	for (std::int64_t day = 0; day < 146100; day++) {
		const std::int64_t time = (day * 86400 + day % 86400) * kMicrosPerSecond + day;
		ASSERT_EQ(*ParseEventTime(*CloudEventTime(time)), time) << *CloudEventTime(time);
	}
	for (std::int64_t time = first; time < last; time += (last - first) / 9973) {
		ASSERT_EQ(*ParseEventTime(*CloudEventTime(time)), time) << *CloudEventTime(time);
	}
}

TEST(CloudEvent, SequencesSortAsPositions) {
	EXPECT_EQ(CloudEventSequence(42), "0000000000000000042");
	EXPECT_EQ(CloudEventSequence(INT64_MAX), "9223372036854775807");
	std::int64_t before = 0;
	for (std::int64_t position = 1; position < INT64_MAX / 3; position = position * 3 - 1) {
		EXPECT_LE(CloudEventSequence(before), CloudEventSequence(position));
		before = position;
	}
}

TEST(CloudEvent, StringsHaveNoControlsAndNoncharacters) {
	for (const char *text : {"", "order:42", "caf\xC3\xA9", "\xC2\xA0", "\xEF\xBF\xBD", "\xF0\x9F\x98\x80", "100%"}) {
		EXPECT_TRUE(IsCloudEventString(text)) << text;
		EXPECT_EQ(CloudEventString(text), text);
	}
	const std::pair<const char *, const char *> changed[] = {
		{"a\nb", "a%0Ab"},
		{"\x7F", "%7F"},
		{"x\xC2\x80y\xC2\x9F", "x%C2%80y%C2%9F"},
		{"\xEF\xB7\x90", "%EF%B7%90"},
		{"\xEF\xBF\xBE", "%EF%BF%BE"},
		{"\xF0\x9F\xBF\xBF!", "%F0%9F%BF%BF!"},
		{"\xF4\x8F\xBF\xBF", "%F4%8F%BF%BF"},
	};
	for (const auto &[text, encoded] : changed) {
		EXPECT_FALSE(IsCloudEventString(text)) << encoded;
		EXPECT_EQ(CloudEventString(text), encoded);
		EXPECT_TRUE(IsCloudEventString(encoded));
	}
	EXPECT_EQ(CloudEventString("\xC3"), "\xC3"); // cut off: it stays, and nothing after it is read
}

} // namespace
} // namespace auren
