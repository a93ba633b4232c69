/* base/file.h: whole reads, atomic writes, folders, patterns. */
#include "scratch.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/file.h"

static void assert_contents(const char *path, const char *expected) {
  unsigned char *contents;
  size_t n_bytes;
  assert_ok(vane_file_read(path, &contents, &n_bytes));
  assert_int_equal(n_bytes, strlen(expected));
  assert_string_equal((const char *)contents, expected); /* relies on the zero behind */
  free(contents);
}

static int count_entries(const char *folder) {
  DIR *entries = opendir(folder);
  int n = -2; /* "." and ".." */
  while (readdir(entries))
    n++;
  closedir(entries);
  return n;
}

static void reads_whole_files(void **state) {
  scratch *area = *state;
  assert_contents(scratch_put(area, "empty", "", 0), "");
  assert_contents(scratch_put(area, "text", "two\nlines", 9), "two\nlines");
}

static void reads_files_that_report_no_size(void **state) {
  (void)state;
  unsigned char *contents;
  size_t n_bytes;
  assert_ok(vane_file_read("/proc/self/status", &contents, &n_bytes));
  assert_true(n_bytes > 100);
  assert_int_equal(contents[n_bytes], 0);
  free(contents);
}

static void names_what_it_cannot_read(void **state) {
  scratch *area = *state;
  unsigned char *contents;
  size_t n_bytes;
  const char *missing = scratch_path(area, "missing");
  assert_fails(vane_file_read(missing, &contents, &n_bytes), VANE_ERR_IO, missing);
  assert_null(contents);
  assert_string_equal(vane_error_get()->foreign, "No such file or directory");
  assert_fails(vane_file_read(area->folder, &contents, &n_bytes), VANE_ERR_IO, "cannot read");
}

static void commit_replaces_at_once(void **state) {
  scratch *area = *state;
  const char *path = scratch_put(area, "file", "old", 3);
  vane_atomic_file *file;
  assert_ok(vane_atomic_file_open(path, &file));
  assert_ok(vane_atomic_file_write(file, "ne", 2));
  assert_ok(vane_atomic_file_write(file, "w", 1));
  assert_contents(path, "old");
  assert_ok(vane_atomic_file_commit(file));
  assert_contents(path, "new");
  assert_int_equal(count_entries(area->folder), 1);
}

static void commits_beside_the_working_folder(void **state) {
  scratch *area = *state;
  char here[1024];
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(area->folder), 0);
  vane_atomic_file *file;
  assert_ok(vane_atomic_file_open("plain-name", &file));
  assert_ok(vane_atomic_file_commit(file));
  assert_true(vane_file_exists("plain-name"));
  assert_int_equal(chdir(here), 0);
}

static void discard_leaves_the_old_file(void **state) {
  scratch *area = *state;
  const char *path = scratch_put(area, "file", "old", 3);
  vane_atomic_file *file;
  assert_ok(vane_atomic_file_open(path, &file));
  assert_ok(vane_atomic_file_write(file, "new", 3));
  vane_atomic_file_discard(file);
  vane_atomic_file_discard(NULL);
  assert_contents(path, "old");
  assert_int_equal(count_entries(area->folder), 1);
}

static void open_and_rename_can_fail(void **state) {
  scratch *area = *state;
  vane_atomic_file *file;
  assert_fails(vane_atomic_file_open(scratch_path(area, "none/file"), &file), VANE_ERR_IO,
               "none/file.tmp-");
  assert_null(file);
  const char *folder = scratch_path(area, "folder");
  assert_ok(vane_folder_create(folder));
  assert_ok(vane_atomic_file_open(folder, &file));
  assert_fails(vane_atomic_file_commit(file), VANE_ERR_IO, "cannot put the finished file");
  assert_int_equal(count_entries(area->folder), 1);
}

/* A limit on the size of files stands in for a full disk. */
static void a_full_disk_leaves_the_old_file(void **state) {
  scratch *area = *state;
  const char *path = scratch_put(area, "file", "old", 3);
  struct rlimit before, tight;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  tight = (struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
  static const char zeros[10000];
  vane_atomic_file *file;
  vane_status opened = vane_atomic_file_open(path, &file);
  vane_status written = vane_atomic_file_write(file, zeros, sizeof zeros);
  vane_atomic_file_discard(file);
  /* Small pieces wait in a buffer: here it is the commit that hits the limit. */
  vane_status opened_again = vane_atomic_file_open(path, &file);
  vane_status buffered = vane_atomic_file_write(file, zeros, 4000);
  buffered |= vane_atomic_file_write(file, zeros, 90);
  buffered |= vane_atomic_file_write(file, zeros, 90);
  vane_status committed = vane_atomic_file_commit(file);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(opened | opened_again, VANE_OK);
  assert_int_equal(written, VANE_ERR_IO);
  assert_true(buffered == VANE_ERR_IO || committed == VANE_ERR_IO);
  assert_message_contains("cannot write it");
  assert_contents(path, "old");
  assert_int_equal(count_entries(area->folder), 1);
}

static void creates_folders_with_parents(void **state) {
  scratch *area = *state;
  assert_ok(vane_folder_create(scratch_path(area, "a/b//c/")));
  assert_true(vane_folder_exists(scratch_path(area, "a/b/c")));
  assert_ok(vane_folder_create(scratch_path(area, "a/b")));
  assert_ok(vane_folder_create("/"));
  scratch_put(area, "a/file", "", 0);
  assert_fails(vane_folder_create(scratch_path(area, "a/file/x")), VANE_ERR_IO, "a/file: cannot");
  assert_fails(vane_folder_create(scratch_path(area, "a/file")), VANE_ERR_IO, "cannot create");
  assert_fails(vane_folder_create(""), VANE_ERR_IO, "cannot create");
}

static void tells_files_from_folders(void **state) {
  scratch *area = *state;
  assert_true(vane_folder_exists(area->folder));
  assert_false(vane_file_exists(area->folder));
  const char *path = scratch_put(area, "file", "", 0);
  assert_true(vane_file_exists(path));
  assert_false(vane_folder_exists(path));
  assert_false(vane_file_exists(scratch_path(area, "missing")));
}

static void assert_matches(scratch *area, const char *pattern, int n, const char *const *names) {
  vane_path_list list;
  assert_ok(vane_path_list_match(scratch_path(area, pattern), &list));
  assert_int_equal(list.n_paths, n);
  for (int i = 0; i < n; i++)
    assert_string_equal(list.paths[i], scratch_path(area, names[i]));
  vane_path_list_finish(&list);
}

static void matches_in_order(void **state) {
  scratch *area = *state;
  const char *const names[] = {"x-2", "x-10", "X-1", "y[1]", ".hidden", "y1"};
  for (size_t i = 0; i < 6; i++)
    scratch_put(area, names[i], "", 0);
  assert_ok(vane_folder_create(scratch_path(area, "x-folder")));
  assert_matches(area, "x-*", 2, (const char *const[]){"x-10", "x-2"});
  assert_matches(area, "", 5, (const char *const[]){"X-1", "x-10", "x-2", "y1", "y[1]"});
  assert_matches(area, "y[1]", 1, (const char *const[]){"y[1]"});
  assert_matches(area, "?[1]", 1, (const char *const[]){"y1"});
}

static void a_pattern_without_match_is_shown(void **state) {
  scratch *area = *state;
  vane_path_list list;
  const char *pattern = scratch_path(area, "*.none");
  assert_fails(vane_path_list_match(pattern, &list), VANE_ERR_IO, pattern);
  assert_ok(vane_folder_create(scratch_path(area, "empty")));
  assert_fails(vane_path_list_match(scratch_path(area, "empty"), &list), VANE_ERR_IO, "empty");
  assert_null(list.paths);
  vane_path_list_finish(&list);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scratch_test(reads_whole_files),
      cmocka_unit_test(reads_files_that_report_no_size),
      scratch_test(names_what_it_cannot_read),
      scratch_test(commit_replaces_at_once),
      scratch_test(commits_beside_the_working_folder),
      scratch_test(discard_leaves_the_old_file),
      scratch_test(open_and_rename_can_fail),
      scratch_test(a_full_disk_leaves_the_old_file),
      scratch_test(creates_folders_with_parents),
      scratch_test(tells_files_from_folders),
      scratch_test(matches_in_order),
      scratch_test(a_pattern_without_match_is_shown),
  };
  return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
