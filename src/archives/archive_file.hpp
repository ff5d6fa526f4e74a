#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "core/archives/archive_format.hpp"
#include "core/seals/digest.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

// as <zlib.h> has it
struct z_stream_s;

namespace auren::pg {

// How an archive on the server is written. Read are both, whatever the file's name.
enum class Compression { kNone, kGzip };

// Throws 42501 where the caller may not write (or read) files of the server, 42602 for a path that is not absolute: the rules of COPY.
void RequireMayWriteFile(const std::string &path);
void RequireMayReadFile(const std::string &path);
bool FileExists(const std::string &path);

/*
 * Writes lines to PATH.part, over what an interrupted run left there, and makes PATH of it when all of them are safe on disk. Errors of the file are
 * raised with the system's SQLSTATE (53100 where the disk is full).
 */
class LineWriter {
  public:
	LineWriter(std::string path, Compression compression);
	LineWriter(const LineWriter &) = delete;
	LineWriter &operator=(const LineWriter &) = delete;
	~LineWriter();

	void Write(std::string_view line);
	// Returns how many bytes the file has.
	int64 Finish();

  private:
	void Put(std::string_view bytes);
	void Compress(std::string_view bytes, int flush);

	std::string path_;
	std::string part_;
	std::string buffer_;
	std::FILE *file_;
	std::unique_ptr<z_stream_s> zlib_; // none: not compressed
	int64 bytes_ = 0;
};

// The lines of a file, or of what a client sent.
class LineSource {
  public:
	virtual ~LineSource() = default;
	// The next line without its line feed, valid until the one after; false at the end. Throws 22P04 where the last line has none.
	virtual bool Next(std::string_view *line) = 0;
	// After an error the end of the transaction does it.
	virtual void Close() = 0;
};

// A file, compressed by gzip or not; several members one after the other are one file. Memory: the longest line.
class LineReader final : public LineSource {
  public:
	explicit LineReader(std::string path);
	~LineReader() override;
	bool Next(std::string_view *line) override;
	void Close() override;

  private:
	bool Fill();
	bool Inflate(std::size_t given);

	std::string path_;
	std::string input_;
	std::string text_;
	std::size_t at_ = 0; // in text_
	std::FILE *file_;
	std::unique_ptr<z_stream_s> zlib_; // none: not compressed
	bool started_ = false;
};

// What an archive says of itself, with its lines read and their digest found right. Throws 22P04 where it is not whole.
struct WholeArchive {
	ArchiveManifest manifest;
	ArchiveTrailer trailer;
};
class ArchiveReader {
  public:
	// Reads the manifest.
	explicit ArchiveReader(LineSource *lines);
	const ArchiveManifest &
	manifest() const {
		return archive_.manifest;
	}
	// The next event's line; false after the last one: then the trailer was read, and agrees with the lines and the manifest.
	bool Next(std::string_view *line);
	const ArchiveTrailer &
	trailer() const {
		return archive_.trailer;
	}

  private:
	void ReadEnd(std::string_view line);

	LineSource *lines_;
	WholeArchive archive_;
	RunningDigest digest_;
	int64 events_ = 0;
};

} // namespace auren::pg
