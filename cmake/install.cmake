# `cmake --install` puts the headers under include/tapestry, the library, the program, and what
# find_package(tapestry) needs: then target_link_libraries(... tapestry::tapestry) works from outside.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS tapestry EXPORT tapestryTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
set_target_properties(tapestry_program PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)  # cuBLAS is where it was
install(TARGETS tapestry_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

set(header_patterns ${folders})
list(TRANSFORM header_patterns APPEND "/*.h")
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${header_patterns})
foreach(header ${headers})
  cmake_path(GET header PARENT_PATH folder)
  install(FILES ${header} DESTINATION include/tapestry/${folder})
endforeach()

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/tapestry)
install(EXPORT tapestryTargets NAMESPACE tapestry:: DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tapestryConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_SOURCE_DIR}/cmake/tapestryConfig.cmake ${PROJECT_BINARY_DIR}/tapestryConfigVersion.cmake
        DESTINATION ${package_folder})
