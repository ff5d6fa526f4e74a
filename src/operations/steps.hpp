#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * A procedure of ours that works in many transactions. While one lives, it holds what keeps others from dropping months and from importing events
 * (kOperationsLockClass), over its commits. Throws 25001 inside a transaction block or a function, 55P03 where it does not get the lock.
 */
class Steps {
  public:
	Steps(FunctionCallInfo fcinfo, const char *procedure);
	~Steps();
	Steps(const Steps &) = delete;
	Steps &operator=(const Steps &) = delete;

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
	// How long what is in the way is waited for, in microseconds: the session's lock_timeout, or a minute.
	int64
	patience() const {
		return patience_;
	}

  private:
	static void Begin();
	static void Commit();

	int64 patience_;
	bool locked_ = false;
};

// Waits a moment, outside of any lock. A cancel ends it.
void Pause(long milliseconds);

} // namespace auren::pg
