#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * A procedure of ours that works in many transactions. Throws 25001 inside a transaction block or a function. After an error the server takes its
 * connection to SPI away itself.
 */
class Procedure {
  public:
	Procedure(FunctionCallInfo fcinfo, const char *procedure);

	// After the last step. Not called where an error ends the procedure.
	static void End();
	// Runs work and commits it.
	template <typename F>
	void
	Do(F &&work) {
		Begin();
		work();
		Commit();
	}

  private:
	static void Begin();
	static void Commit();
};

/*
 * While one lives, it holds what keeps others from dropping months and from importing events (kOperationsLockClass), over its commits. Throws 55P03
 * where it does not get the lock.
 */
class Steps : public Procedure {
  public:
	Steps(FunctionCallInfo fcinfo, const char *procedure);
	~Steps();
	Steps(const Steps &) = delete;
	Steps &operator=(const Steps &) = delete;

	// How long what is in the way is waited for, in microseconds: the session's lock_timeout, or a minute.
	int64
	patience() const {
		return patience_;
	}

  private:
	int64 patience_;
	bool locked_ = false;
};

// Waits a moment, outside of any lock. A cancel ends it.
void Pause(long milliseconds);

} // namespace auren::pg
