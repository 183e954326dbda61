// The images that a destination makes for disks that are copied to it.
//
// An image is made under a name of its migration's, and linked to the name that the domain's XML has, which fails
// where anything is there. Both names stay until the domain is the destination's own: so whoever comes after a
// crash, with the note of the paths that was written first, knows an image of the migration's from any other file.
// The note has each folder's inode number too: an empty mount point is not taken for a folder without the image.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "copied_disks.hpp"

namespace vmsec::kvm {

// Of one migration. Each call may be repeated; one thread at a time.
class IncomingImages {
 public:
  // `roots`: the folders in which images may be made. The note lies in `state_dir`.
  IncomingImages(const std::string& state_dir, std::vector<std::string> roots, const Uuid& migration);

  struct Owner {
    uid_t uid = 0;
    gid_t gid = 0;
  };
  // Empty images of just these sizes and formats. After an error none of them is left.
  [[nodiscard]] Status create(const std::vector<CopiedDisk>& disks, Owner owner) const;
  // Removes what create() has made and no other file. Success where there is nothing. `unavailable` where the folder
  // that an image was made in is not there: the note stays, and it can be asked again.
  [[nodiscard]] Status discard() const;
  // As discard(), of a migration that nobody comes back to: what cannot be removed now sweep() tries again.
  [[nodiscard]] Status abandon() const;
  static void sweep(const std::string& state_dir, const std::vector<std::string>& roots);
  // From now on they are the domain's: discard() leaves them.
  [[nodiscard]] Status keep() const;

 private:
  struct Noted {
    ino_t folder = 0;
    std::string path;
  };

  [[nodiscard]] Status create_one(const CopiedDisk& disk, Owner owner) const;
  [[nodiscard]] Status remove(const Noted& image) const;
  [[nodiscard]] Status check_room(const std::vector<CopiedDisk>& disks) const;
  [[nodiscard]] Status write_note(const std::vector<CopiedDisk>& disks) const;
  [[nodiscard]] Result<std::vector<Noted>> read_note() const;
  [[nodiscard]] Status remove_note() const;
  [[nodiscard]] std::string own_name(const std::string& name) const { return name + suffix_; }

  std::vector<std::string> roots_;
  std::string folder_;
  std::string note_;
  std::string suffix_;
};

}  // namespace vmsec::kvm
