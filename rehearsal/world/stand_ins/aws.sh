# Stands in for `aws s3 cp`: buckets are folders, and `copied` says what was read and written.
[ "$1 $2 $3" = "s3 cp --only-show-errors" ] || { echo "the stand-in knows no aws $*" >&2; exit 2; }
local_path() { case "$1" in s3://*) echo "${STAND_IN_FOLDER}/buckets/${1#s3://}" ;; *) echo "$1" ;; esac; }
to="$(local_path "$5")"
mkdir -p "$(dirname "${to}")"
cp "$(local_path "$4")" "${to}" || exit 1
echo "$4 $5" >> "${STAND_IN_FOLDER}/copied"
