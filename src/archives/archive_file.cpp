#include "archives/archive_file.hpp"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/error.hpp"

namespace auren::pg {

namespace {

constexpr std::size_t kBufferBytes = 1 << 16;
constexpr int kGzipWindow = 15 + 16;
constexpr std::size_t kLongestLine = 0x7fffffff;

void
RequirePath(const std::string &path, Oid role, const char *what) {
	if (!Call([&] { return has_privs_of_role(GetUserId(), role); })) {
		throw DomainError(sqlstate::kInsufficientPrivilege, std::string("permission denied to ") + what + " a file of the server",
		                  std::string("Only roles with privileges of the \"") +
		                      (role == ROLE_PG_WRITE_SERVER_FILES ? "pg_write_server_files" : "pg_read_server_files") + "\" role may do that.",
		                  "A client writes archives by events.archive_lines, scripts/archive_month shows how.");
	}
	if (path.empty() || path[0] != '/') {
		throw DomainError("42602", "the path of an archive must be absolute", "\"" + path + "\" is relative.",
		                  "Give the whole path of a file on the server.");
	}
}

// Raises the system's error.
[[noreturn]] void
RaiseFileError(const char *what, const std::string &path) {
	const char *name = path.c_str();
	Call([&] { ereport(ERROR, (errcode_for_file_access(), errmsg("could not %s file \"%s\": %m", what, name))); });
	throw DomainError("58030", "unreachable");
}

std::unique_ptr<z_stream_s>
NewStream() {
	auto stream = std::make_unique<z_stream_s>();
	stream->zalloc = nullptr;
	stream->zfree = nullptr;
	stream->opaque = nullptr;
	stream->next_in = nullptr;
	stream->avail_in = 0;
	return stream;
}

Bytef *
BytesAt(const char *bytes) {
	return reinterpret_cast<Bytef *>(const_cast<char *>(bytes));
}

std::FILE *
OpenFile(const std::string &path, const char *mode) {
	const char *name = path.c_str();
	std::FILE *file = Call([&] { return AllocateFile(name, mode); });
	if (file == nullptr) {
		RaiseFileError("open", path);
	}
	return file;
}

} // namespace

void
RequireMayWriteFile(const std::string &path) {
	RequirePath(path, ROLE_PG_WRITE_SERVER_FILES, "write to");
}

void
RequireMayReadFile(const std::string &path) {
	RequirePath(path, ROLE_PG_READ_SERVER_FILES, "read from");
}

bool
FileExists(const std::string &path) {
	struct stat status;
	if (stat(path.c_str(), &status) == 0) {
		return true;
	}
	if (errno != ENOENT) {
		RaiseFileError("look at", path);
	}
	return false;
}

LineWriter::LineWriter(std::string path, Compression compression)
	: path_(std::move(path)), part_(path_ + ".part"), buffer_(kBufferBytes, '\0'), file_(OpenFile(part_, PG_BINARY_W)) {
	if (compression == Compression::kGzip) {
		zlib_ = NewStream();
		if (deflateInit2(zlib_.get(), Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
			zlib_.reset();
			throw std::bad_alloc();
		}
	}
}

LineWriter::~LineWriter() {
	if (zlib_ != nullptr) {
		(void)deflateEnd(zlib_.get());
	}
	if (file_ != nullptr) {
		// an error is under way, which closes the file; what was written is of no use
		(void)unlink(part_.c_str());
	}
}

void
LineWriter::Put(std::string_view bytes) {
	if (fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) {
		RaiseFileError("write", part_);
	}
	bytes_ += static_cast<int64>(bytes.size());
}

void
LineWriter::Compress(std::string_view bytes, int flush) {
	zlib_->next_in = BytesAt(bytes.data());
	zlib_->avail_in = static_cast<uInt>(bytes.size());
	do {
		zlib_->next_out = BytesAt(buffer_.data());
		zlib_->avail_out = static_cast<uInt>(buffer_.size());
		(void)deflate(zlib_.get(), flush);
		Put({buffer_.data(), buffer_.size() - zlib_->avail_out});
	} while (zlib_->avail_out == 0);
}

void
LineWriter::Write(std::string_view line) {
	if (zlib_ != nullptr) {
		Compress(line, Z_NO_FLUSH);
		Compress("\n", Z_NO_FLUSH);
	} else {
		Put(line);
		Put("\n");
	}
}

int64
LineWriter::Finish() {
	if (zlib_ != nullptr) {
		Compress("", Z_FINISH);
	}
	if (fflush(file_) != 0 || pg_fsync(fileno(file_)) != 0) {
		RaiseFileError("flush", part_);
	}
	std::FILE *file = file_;
	const char *from = part_.c_str();
	const char *to = path_.c_str();
	if (Call([&] { return FreeFile(file); }) != 0) {
		RaiseFileError("close", part_);
	}
	Call([&] { (void)durable_rename(from, to, ERROR); });
	file_ = nullptr;
	return bytes_;
}

LineReader::LineReader(std::string path) : path_(std::move(path)), input_(kBufferBytes, '\0'), file_(OpenFile(path_, PG_BINARY_R)) {
}

LineReader::~LineReader() {
	if (zlib_ != nullptr) {
		(void)inflateEnd(zlib_.get());
	}
}

void
LineReader::Close() {
	std::FILE *file = file_;
	Call([&] { (void)FreeFile(file); });
}

// Appends what the input holds to the text. False where it was nothing.
bool
LineReader::Inflate(std::size_t given) {
	const std::size_t before = text_.size();
	zlib_->next_in = BytesAt(input_.data());
	zlib_->avail_in = static_cast<uInt>(given);
	do {
		const std::size_t size = text_.size();
		text_.resize(size + kBufferBytes);
		zlib_->next_out = BytesAt(text_.data() + size);
		zlib_->avail_out = static_cast<uInt>(kBufferBytes);
		const int result = inflate(zlib_.get(), Z_NO_FLUSH);
		text_.resize(size + kBufferBytes - zlib_->avail_out);
		if (result == Z_STREAM_END) {
			(void)inflateReset(zlib_.get());
		} else if (result != Z_OK && result != Z_BUF_ERROR) {
			throw DomainError(kBadArchive, "file \"" + path_ + "\" is damaged",
			                  std::string("It cannot be decompressed: ") + (zlib_->msg == nullptr ? "unknown error" : zlib_->msg) + ".",
			                  "Fetch the file again from where it was written to.");
		}
	} while (zlib_->avail_in > 0 || zlib_->avail_out == 0);
	return text_.size() > before;
}

// More of the text; false at the end of the file.
bool
LineReader::Fill() {
	text_.erase(0, at_);
	at_ = 0;
	for (;;) {
		Call([] { CHECK_FOR_INTERRUPTS(); });
		const std::size_t given = fread(input_.data(), 1, input_.size(), file_);
		if (given == 0 && ferror(file_) != 0) {
			RaiseFileError("read", path_);
		}
		if (given == 0) {
			return false;
		}
		if (!started_) {
			started_ = true;
			if (given >= 2 && input_[0] == '\x1f' && input_[1] == '\x8b') {
				zlib_ = NewStream();
				if (inflateInit2(zlib_.get(), kGzipWindow) != Z_OK) {
					zlib_.reset();
					throw std::bad_alloc();
				}
			}
		}
		if (zlib_ == nullptr) {
			text_.append(input_, 0, given);
			return true;
		}
		if (Inflate(given)) {
			return true;
		}
	}
}

bool
LineReader::Next(std::string_view *line) {
	std::size_t searched = at_;
	for (;;) {
		const std::size_t end = text_.find('\n', searched);
		if (end != std::string::npos) {
			*line = std::string_view(text_).substr(at_, end - at_);
			at_ = end + 1;
			return true;
		}
		searched = text_.size() - at_;
		if (searched > kLongestLine) {
			throw DomainError(kBadArchive, "file \"" + path_ + "\" is not an archive", "A line of it is longer than that of any event.", "");
		}
		if (!Fill()) {
			if (at_ < text_.size()) {
				throw DomainError(kBadArchive, "file \"" + path_ + "\" was cut", "It ends within a line.",
				                  "Fetch the file again from where it was written to.");
			}
			return false;
		}
	}
}

ArchiveReader::ArchiveReader(LineSource *lines) : lines_(lines) {
	std::string_view line;
	if (!lines_->Next(&line)) {
		throw DomainError(kBadArchive, "this is not an archive", "It is empty.",
		                  "Give a file that events.archive_month or scripts/archive_month wrote.");
	}
	archive_.manifest = ReadManifest(line);
}

bool
ArchiveReader::Next(std::string_view *line) {
	if (!lines_->Next(line)) {
		throw DomainError(kBadArchive, "the archive was cut",
		                  "It ends after " + std::to_string(events_) + " of " + std::to_string(archive_.manifest.events) +
		                      " events and has no trailer.",
		                  "Fetch the file again from where it was written to.");
	}
	if (IsTrailer(*line)) {
		ReadEnd(*line);
		return false;
	}
	events_++;
	digest_.Update(*line);
	digest_.Update("\n");
	return true;
}

void
ArchiveReader::ReadEnd(std::string_view line) {
	archive_.trailer = ReadTrailer(line);
	const std::string digest = Hex(BytesOf(digest_.Finish()));
	std::string detail;
	if (events_ != archive_.trailer.events || events_ != archive_.manifest.events) {
		detail = "It has " + std::to_string(events_) + " events; its manifest says " + std::to_string(archive_.manifest.events) +
		         " and its trailer " + std::to_string(archive_.trailer.events) + ".";
	} else if (digest != archive_.trailer.sha256) {
		detail = "The SHA-256 of its events is " + digest + ", and its trailer says " + archive_.trailer.sha256 + ".";
	} else if (std::string_view more; lines_->Next(&more)) {
		detail = "There are lines after its trailer.";
	}
	if (!detail.empty()) {
		throw DomainError(kBadArchive, "the archive is not what was written", detail, "Fetch the file again from where it was written to.");
	}
}

} // namespace auren::pg
