# Stands in for curl: "downloads" the archive that lies in the container's folder.
while [ "$#" -gt 0 ]; do
    if [ "$1" = "--output" ]; then output="$2"; fi
    address="$1"
    shift
done
echo "${address}" >> "${STAND_IN_FOLDER}/downloads"
cp "${STAND_IN_FOLDER}/archive.zip" "${output}"
