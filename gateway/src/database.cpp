#include "database.hpp"

#include <random>

#include <boost/asio/post.hpp>

#include "log.hpp"

namespace auren::gateway {
namespace {

using namespace std::chrono_literals;

constexpr auto kConnectTime = 15s;
constexpr auto kGrace = 5s; // beyond the statement's time, after which the server is taken for lost
constexpr int kRowsATurn = 500;

std::chrono::milliseconds
Backoff(int failures) {
	static std::mt19937 random{std::random_device{}()};
	const int most = std::min(5000, 50 << std::min(failures, 7));
	return std::chrono::milliseconds(std::uniform_int_distribution<int>(most / 2, most)(random));
}

} // namespace

Database::Database(boost::asio::io_context &loop, Settings settings)
	: loop_(loop), settings_(std::move(settings)), socket_(loop), retry_(loop), deadline_(loop) {
}

Database::~Database() {
	Close();
}

void
Database::Start() {
	Connect();
}

void
Database::Stop() {
	state_ = State::kStopped;
	Close();
	retry_.cancel();
	deadline_.cancel();
	running_ = false;
	query_ = {};
}

void
Database::Close() {
	life_++;
	if (socket_.is_open()) {
		socket_.release();
	}
	if (connection_ != nullptr) {
		PQfinish(connection_);
		connection_ = nullptr;
	}
}

void
Database::Connect() {
	state_ = State::kConnecting;
	const char *keys[] = {"dbname", "application_name", "client_encoding", nullptr};
	const char *values[] = {settings_.connection.c_str(), settings_.name.c_str(), "UTF8", nullptr};
	connection_ = PQconnectStartParams(keys, values, 1);
	if (connection_ == nullptr || PQstatus(connection_) == CONNECTION_BAD) {
		Lose(connection_ == nullptr ? "out of memory" : PQerrorMessage(connection_));
		return;
	}
	ArmDeadline(kConnectTime);
	Watch();
	AwaitWrite();
}

// libpq may open another socket at each step, even one of the same number: the loop looks at it anew.
void
Database::Watch() {
	if (socket_.is_open()) {
		socket_.release();
	}
	socket_.assign(PQsocket(connection_));
}

void
Database::AwaitWrite() {
	socket_.async_wait(boost::asio::posix::stream_descriptor::wait_write, [this, life = life_](boost::system::error_code error) {
		if (error || life != life_) {
			return;
		}
		if (state_ == State::kConnecting) {
			Poll();
		} else if (PQflush(connection_) == 1) {
			AwaitWrite();
		}
	});
}

void
Database::Poll() {
	const auto status = PQconnectPoll(connection_);
	if (status == PGRES_POLLING_FAILED) {
		Lose(PQerrorMessage(connection_));
		return;
	}
	Watch();
	if (status == PGRES_POLLING_WRITING) {
		AwaitWrite();
		return;
	}
	if (status != PGRES_POLLING_OK) {
		socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this, life = life_](boost::system::error_code error) {
			if (!error && life == life_) {
				Poll();
			}
		});
		return;
	}
	PQsetnonblocking(connection_, 1);
	PQsetNoticeProcessor(
		connection_, [](void *, const char *) {}, nullptr);
	state_ = State::kSetup;
	OnReadable();
	Send({settings_.setup, nullptr, [this](const Outcome &outcome) {
			  if (!outcome.good) {
				  Lose(outcome.message);
				  return;
			  }
			  state_ = State::kUp;
			  failures_ = 0;
			  error_.clear();
			  LogLine("connected to PostgreSQL: " + settings_.name);
			  on_up();
		  }});
}

void
Database::Run(Query query) {
	Send(std::move(query));
}

void
Database::Send(Query query) {
	query_ = std::move(query);
	running_ = true;
	statement_ = 0;
	outcome_ = {true, "", ""};
	if (PQsendQuery(connection_, query_.sql.c_str()) != 1 || PQsetSingleRowMode(connection_) != 1) {
		boost::asio::post(loop_, [this, life = life_] {
			if (life == life_) {
				Lose(PQerrorMessage(connection_));
			}
		});
		return;
	}
	ArmDeadline(settings_.statement + kGrace);
	if (PQflush(connection_) == 1) {
		AwaitWrite();
	}
}

void
Database::ArmDeadline(std::chrono::milliseconds time) {
	deadline_.expires_after(time);
	deadline_.async_wait([this, life = life_](boost::system::error_code error) {
		if (!error && life == life_ && (running_ || !IsUp())) {
			Lose("the server does not answer");
		}
	});
}

void
Database::OnReadable() {
	socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this, life = life_](boost::system::error_code error) {
		if (error || life != life_) {
			return;
		}
		if (PQconsumeInput(connection_) != 1) {
			Lose(PQerrorMessage(connection_));
			return;
		}
		TakeResults();
	});
}

// Takes some rows and gives way to the others on the loop, so that a large result delays nobody.
void
Database::TakeResults() {
	const auto life = life_;
	TakeNotifications();
	for (int rows = 0; running_ && PQisBusy(connection_) == 0; rows++) {
		if (rows == kRowsATurn) {
			boost::asio::post(loop_, [this, life] {
				if (life == life_) {
					TakeResults();
				}
			});
			return;
		}
		PGresult *result = PQgetResult(connection_);
		if (result == nullptr) {
			FinishQuery();
		} else {
			TakeResult(result);
			PQclear(result);
		}
		if (life != life_) {
			return;
		}
	}
	if (PQstatus(connection_) == CONNECTION_BAD) {
		Lose(PQerrorMessage(connection_));
		return;
	}
	OnReadable();
}

void
Database::TakeResult(const PGresult *result) {
	const auto status = PQresultStatus(result);
	if (status == PGRES_SINGLE_TUPLE) {
		if (query_.row && outcome_.good) {
			query_.row(statement_, result);
		}
	} else if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) {
		statement_++;
	} else {
		const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
		outcome_ = {false, state == nullptr ? "" : state, message == nullptr ? PQresultErrorMessage(result) : message};
	}
}

void
Database::TakeNotifications() {
	while (PGnotify *notify = PQnotifies(connection_)) {
		if (on_notify) {
			on_notify(notify->relname, notify->extra);
		}
		PQfreemem(notify);
	}
}

void
Database::FinishQuery() {
	if (!outcome_.good && PQstatus(connection_) == CONNECTION_BAD) {
		Lose(outcome_.message);
		return;
	}
	running_ = false;
	deadline_.cancel();
	const auto done = std::move(query_.done);
	query_ = {};
	if (done) {
		done(outcome_);
	}
}

void
Database::Lose(std::string error) {
	while (!error.empty() && error.back() == '\n') {
		error.pop_back();
	}
	const bool was_up = IsUp();
	const bool ran = running_ && was_up;
	state_ = State::kDown;
	Close();
	if (was_up || error != error_) {
		LogLine("no connection to PostgreSQL (" + settings_.name + "): " + error);
	}
	error_ = error;
	running_ = false;
	deadline_.cancel();
	const auto done = std::move(query_.done);
	query_ = {};
	retry_.expires_after(Backoff(failures_++));
	retry_.async_wait([this](boost::system::error_code failed) {
		if (!failed && state_ == State::kDown) {
			Connect();
		}
	});
	if (ran && done) {
		done({false, "", error});
	}
	if (was_up) {
		on_down();
	}
}

std::string
Database::Literal(std::string_view text) const {
	char *quoted = PQescapeLiteral(connection_, text.data(), text.size());
	if (quoted == nullptr) {
		throw std::runtime_error(PQerrorMessage(connection_));
	}
	std::string literal = quoted;
	PQfreemem(quoted);
	return literal;
}

} // namespace auren::gateway
