/* ---- threads ------------------------------------------------------------------------------------------------
   Several threads run one call together: those of the OpenMP library that the process has loaded (torch's own; two
   pools that both spin while they wait would halve each other), else workers of our own. A child of fork has none of
   its parent's threads, and OpenMP would wait for them forever: there, workers of our own are made anew. */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <limits.h>
#include <link.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

INLINE void pause_a_little(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Waits until *word is not `old`: awake for some 50 microseconds, then asleep, so that the system can put a thread
   that is late, because others compute on its processor, on this one. `asleep` counts who sleeps. */
#define AWAKE 2000
static void wait_for_change(int *word, int old, int *asleep) {
  for (long spins = 0; spins < AWAKE; spins++, pause_a_little())
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != old) return;
  __atomic_add_fetch(asleep, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == old)
#if defined(__linux__)
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
#else
    sched_yield();
#endif
  __atomic_sub_fetch(asleep, 1, __ATOMIC_SEQ_CST);
}
static void change(int *word, int new, const int *asleep) {
  __atomic_store_n(word, new, __ATOMIC_SEQ_CST);
#if defined(__linux__)
  if (__atomic_load_n(asleep, __ATOMIC_SEQ_CST)) syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
  (void)asleep;
#endif
}

void barrier(struct team *team) {
  if (team->threads == 1) return;
  const int round = __atomic_load_n(&team->round, __ATOMIC_ACQUIRE);
  if (__atomic_add_fetch(&team->arrived, 1, __ATOMIC_ACQ_REL) == team->threads) {
    __atomic_store_n(&team->arrived, 0, __ATOMIC_RELAXED);
    change(&team->round, round + 1, &team->asleep);
  } else {
    wait_for_change(&team->round, round, &team->asleep);
  }
}

struct call {
  work *run;
  const void *what;
  struct team team;
  int mode, left, is_open; /* left: workers that are not done; is_open: there are some */
};
#define MOST 256 /* threads */
struct worker {
  struct call *call; /* what it has to do, or NULL */
  struct crew *crew;
  int id;
  pthread_t thread;
} __attribute__((aligned(64)));

/* all threads of the process that work here: elman_crew makes several libraries use one crew */
struct crew {
  void (*parallel)(void (*)(void *), void *, unsigned, unsigned); /* OpenMP's, where it is loaded */
  int (*number)(void), (*count)(void);
  int pid, is_child, processors;
  int running; /* threads of all calls that run now */
  int busy;    /* the workers have a call, or are being made */
  int workers, asleep, leaving;
  int waiting;       /* for the workers' end, asleep: at most one */
  long pause, until; /* nanoseconds for which, and the time until which calls run alone: see judge */
  pthread_mutex_t lock;
  pthread_cond_t wake;
  struct worker worker[MOST];
};
static struct crew own_crew, *the_crew = &own_crew;

#if defined(__linux__)
static int is_openmp(struct dl_phdr_info *info, size_t size, void *found) {
  (void)size;
  const char *const slash = strrchr(info->dlpi_name, '/'), *const name = slash ? slash + 1 : info->dlpi_name;
  return strncmp(name, "libgomp", 7) == 0 && (*(const char **)found = info->dlpi_name);
}
#endif
static void find_openmp(struct crew *crew) {
#if defined(__linux__)
  const char *name = NULL;
  dl_iterate_phdr(is_openmp, &name);
  void *const library = name ? dlopen(name, RTLD_LAZY | RTLD_NOLOAD) : NULL;
  if (!library) return;
  *(void **)&crew->number = dlsym(library, "omp_get_thread_num");
  *(void **)&crew->count = dlsym(library, "omp_get_num_threads");
  if (crew->number && crew->count) *(void **)&crew->parallel = dlsym(library, "GOMP_parallel");
#else
  (void)crew;
#endif
}

/* Makes this library use the threads of `other`, or its own where that is NULL; the crew that it uses from now on.
   `is_child`: the process was forked, and nobody knows what its parent's OpenMP did. */
void *elman_crew(void *other, int is_child) {
  struct crew *const crew = other ? other : the_crew;
  if (!crew->pid) {
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->wake, NULL);
    crew->processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
    crew->pid = (int)getpid();
  }
  if (is_child) crew->is_child = 1;
  if (!crew->parallel) find_openmp(crew);
  return the_crew = crew;
}
__attribute__((constructor)) static void begin(void) { elman_crew(NULL, 0); }

/* in the child of a fork: no thread but this one is left */
static void after_fork(struct crew *crew) {
  pthread_mutex_init(&crew->lock, NULL);
  pthread_cond_init(&crew->wake, NULL);
  crew->running = crew->busy = crew->workers = crew->asleep = crew->waiting = 0;
  crew->pause = crew->until = 0;
  memset(crew->worker, 0, sizeof(crew->worker));
  crew->is_child = 1;
  crew->pid = (int)getpid();
}

static void *work_on(void *given) {
  struct worker *const self = given;
  struct crew *const crew = self->crew;
  for (;;) {
    struct call *call;
    for (long spins = 0; !(call = __atomic_load_n(&self->call, __ATOMIC_ACQUIRE)) && spins < AWAKE; spins++)
      pause_a_little();
    if (!call) {
      pthread_mutex_lock(&crew->lock);
      for (crew->asleep++; !(call = __atomic_load_n(&self->call, __ATOMIC_ACQUIRE)) && !crew->leaving;)
        pthread_cond_wait(&crew->wake, &crew->lock);
      crew->asleep--;
      pthread_mutex_unlock(&crew->lock);
      if (!call) return NULL;
    }
    call->run(call->what, &call->team, self->id, call->mode);
    __atomic_store_n(&self->call, NULL, __ATOMIC_RELAXED);
    if (__atomic_sub_fetch(&call->left, 1, __ATOMIC_ACQ_REL) == 0) change(&call->is_open, 0, &crew->waiting);
  }
}

/* makes workers until there are as many as wanted, or no more can be made; signals are for the others */
static int hire(struct crew *crew, int wanted) {
  if (crew->workers >= wanted) return wanted;
  sigset_t all_signals, before;
  sigfillset(&all_signals);
  pthread_sigmask(SIG_SETMASK, &all_signals, &before);
  for (int k = crew->workers; k < wanted; k++, crew->workers++) {
    struct worker *const worker = crew->worker + k;
    worker->crew = crew, worker->id = k + 1;
    if (pthread_create(&worker->thread, NULL, work_on, worker) != 0) break;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return crew->workers;
}

/* the workers go when the process ends, or when the library does */
__attribute__((destructor)) static void leave(void) {
  struct crew *const crew = &own_crew;
  if (!crew->workers || crew->pid != (int)getpid() || __atomic_exchange_n(&crew->busy, 1, __ATOMIC_ACQUIRE)) return;
  pthread_mutex_lock(&crew->lock);
  crew->leaving = 1;
  pthread_cond_broadcast(&crew->wake);
  pthread_mutex_unlock(&crew->lock);
  for (int k = 0; k < crew->workers; k++) pthread_join(crew->worker[k].thread, NULL);
}

static int with_workers(struct crew *crew, struct call *call) {
  if (__atomic_exchange_n(&crew->busy, 1, __ATOMIC_ACQUIRE)) return 0;
  const int helpers = hire(crew, call->team.threads - 1);
  if (helpers) {
    call->team.threads = helpers + 1, call->left = helpers, call->is_open = 1;
    for (int k = 0; k < helpers; k++) __atomic_store_n(&crew->worker[k].call, call, __ATOMIC_RELEASE);
    pthread_mutex_lock(&crew->lock);
    if (crew->asleep) pthread_cond_broadcast(&crew->wake);
    pthread_mutex_unlock(&crew->lock);
    call->run(call->what, &call->team, 0, call->mode);
    wait_for_change(&call->is_open, 1, &crew->waiting);
  }
  __atomic_store_n(&crew->busy, 0, __ATOMIC_RELEASE);
  return helpers > 0;
}

static void within_openmp(void *given) {
  struct call *const call = given;
  __atomic_store_n(&call->team.threads, the_crew->count(), __ATOMIC_RELAXED); /* may be fewer than asked for */
  call->run(call->what, &call->team, the_crew->number(), call->mode);
}

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

/* Runs a call on several threads; 0 where it must be run alone. The first call gets what it asks for; one that comes
   meanwhile, from another thread of the program, gets helpers only while processors are left. */
static int run_together(work *run, const void *what, int mode, int threads) {
  struct crew *const crew = the_crew;
  if (crew->pid != (int)getpid()) after_fork(crew);
  if (now() < __atomic_load_n(&crew->until, __ATOMIC_RELAXED)) return 0;
  if (threads > MOST) threads = MOST;
  const int before = __atomic_fetch_add(&crew->running, threads, __ATOMIC_RELAXED);
  int done = before == 0 || before + threads <= crew->processors;
  if (done) {
    struct call call = {run, what, {.threads = threads}, mode, 0, 0};
    if (crew->parallel && !crew->is_child) crew->parallel(within_openmp, &call, (unsigned)threads, 0);
    else done = with_workers(crew, &call);
  }
  __atomic_sub_fetch(&crew->running, threads, __ATOMIC_RELAXED);
  return done;
}

/* Where others compute on our processors, threads wait for one that has none: steps of microseconds take milliseconds.
   After a call on several threads that took LATE times as long as the best one like it, on any number of threads, the
   next ones run alone: as long as it took, and twice as long after each further one. What was expected too short is
   put right by the first call alone. */
#define LATE 4
#define MOST_ALONE 1000000000L
static void judge(struct pace *pace, long expected, long took, int is_together) {
  struct crew *const crew = the_crew;
  const int is_known = __atomic_load_n(&pace->expected, __ATOMIC_RELAXED) == expected;
  const long best = is_known ? __atomic_load_n(&pace->best, __ATOMIC_RELAXED) : expected;
  __atomic_store_n(&pace->expected, expected, __ATOMIC_RELAXED);
  __atomic_store_n(&pace->best, least(best, took), __ATOMIC_RELAXED);
  if (!is_together) return;
  long pause = __atomic_load_n(&crew->pause, __ATOMIC_RELAXED);
  if (took > LATE * best + 500000) {
    pause = least(MOST_ALONE, 2 * pause > took ? 2 * pause : took);
    __atomic_store_n(&crew->until, now() + pause, __ATOMIC_RELAXED);
  } else {
    pause -= pause / 8;
  }
  __atomic_store_n(&crew->pause, pause, __ATOMIC_RELAXED);
}
